// SPDX-License-Identifier: Apache-2.0
//
// All tests of the tab, one after the other, with one daemon and one browser.

import './review_test.mjs';
import './change_test.mjs';
import './create_test.mjs';
import './live_test.mjs';
