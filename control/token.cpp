// SPDX-License-Identifier: Apache-2.0
#include "control/token.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::Problem;
using rules::Result;

constexpr std::string_view kHashPrefix = "sha256:";
constexpr std::size_t kNameMax = 50;

std::string hex(const std::uint8_t* bytes, std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

std::string_view take_word(std::string_view& line) {
  constexpr std::string_view kSpaces = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kSpaces), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kSpaces));
  line.remove_prefix(word.size());
  return word;
}

bool read_hash(std::string_view text, TokenHash& hash) {
  if (!text.starts_with(kHashPrefix)) return false;
  text.remove_prefix(kHashPrefix.size());
  if (text.size() != 2 * hash.size()) return false;
  for (std::size_t i = 0; i < hash.size(); ++i) {
    const char* begin = text.data() + 2 * i;
    if (std::from_chars(begin, begin + 2, hash[i], 16).ptr != begin + 2) return false;
  }
  return true;
}

// What is wrong with the line; empty: nothing.
std::string read_line(std::string_view line, Token& token) {
  token.name = std::string(take_word(line));
  const std::string_view role = take_word(line);
  const std::string_view hash = take_word(line);
  if (!is_token_name(token.name))
    return fmt::format("the name must be 1 to {} of letters, digits, _ . and -", kNameMax);
  const auto known = read_role(role);
  if (!known || *known == Role::none) return "the role must be read, operate or admin";
  token.role = *known;
  if (!read_hash(hash, token.hash))
    return "sha256: and 64 hexadecimal digits must follow; sluicectl token create writes a line";
  if (!take_word(line).empty()) return "something follows the hash";
  return "";
}

}  // namespace

std::string make_secret() {
  std::array<std::uint8_t, 32> bytes{};
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t count = ::getrandom(bytes.data() + filled, bytes.size() - filled, 0);
    if (count > 0) filled += static_cast<std::size_t>(count);
  }
  return "sluice_" + hex(bytes.data(), bytes.size());
}

TokenHash hash_secret(std::string_view secret) {
  TokenHash hash{};
  unsigned size = 0;
  EVP_Digest(secret.data(), secret.size(), hash.data(), &size, EVP_sha256(), nullptr);
  return hash;
}

bool is_token_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

std::string token_line(const Token& token) {
  return fmt::format("{} {} {}{}", token.name, to_string(token.role), kHashPrefix,
                     hex(token.hash.data(), token.hash.size()));
}

Result<std::vector<Token>> read_tokens(std::string_view text) {
  std::vector<Token> tokens;
  std::vector<Problem> problems;
  std::set<std::string> names;
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    std::string_view rest = line;
    const std::string_view first = take_word(rest);
    if (first.empty() || first.starts_with('#')) continue;
    Token token;
    std::string wrong = read_line(line, token);
    if (wrong.empty() && !names.insert(token.name).second)
      wrong = fmt::format("the name {} stands twice", token.name);
    if (wrong.empty()) {
      tokens.push_back(std::move(token));
    } else {
      problems.push_back({fmt::format("line {}", number), std::move(wrong)});
    }
  }
  if (problems.empty()) return tokens;
  std::string message;
  for (const Problem& problem : problems)
    message += fmt::format("{}{}: {}", message.empty() ? "" : "; ", problem.where, problem.message);
  return rules::fail(rules::Error{ErrorCode::invalid, std::move(message), std::move(problems)});
}

}  // namespace sluice::control
