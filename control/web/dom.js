// SPDX-License-Identifier: Apache-2.0
//
// Elements without markup: whatever comes from the node becomes text, never HTML.

// element('button', {class: 'quiet', 'aria-label': 'Close', onclick: close}, 'text', child, …)
// Functions become listeners, true/false set and leave out an attribute; null children are none.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined)
      made.setAttribute(name, String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

// Brings `container` to one child an item, in order. A child whose item is as before stays the
// element it was, so that a refresh takes away neither focus nor selection nor scroll position.
// item: {key, signature, build()}; what has data-focus keeps the focus also when built anew.
export function reconcile(container, items) {
  const known = new Map([...container.children].map((child) => [child.dataset.key, child]));
  const focused = container.contains(document.activeElement)
    ? document.activeElement.closest('[data-focus]') : null;
  const focus_key = focused?.dataset.focus;
  let next = container.firstElementChild;
  for (const item of items) {
    const key = String(item.key);
    let child = known.get(key);
    known.delete(key);
    if (child === undefined || child.signature !== item.signature) {
      const built = item.build();
      built.dataset.key = key;
      built.signature = item.signature;
      if (child !== undefined) {
        if (next === child) next = built;
        child.replaceWith(built);
      }
      child = built;
    }
    if (next === child) next = child.nextElementSibling;
    else container.insertBefore(child, next);
  }
  for (const child of known.values()) child.remove();
  if (focus_key !== undefined && !container.contains(document.activeElement))
    container.querySelector(`[data-focus="${CSS.escape(focus_key)}"]`)?.focus();
}

// Runs `work` with the button showing that it is under way; a second press is not heard.
export async function busy(button, work) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  button.setAttribute('aria-busy', 'true');
  try {
    await work();
  } finally {
    button.removeAttribute('aria-disabled');
    button.removeAttribute('aria-busy');
  }
}

export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}
