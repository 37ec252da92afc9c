// SPDX-License-Identifier: Apache-2.0
// The few programs that the tests of runtime handlers start: as arguments for the busybox of a real
// container, and as data that a fake one interprets.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace berth::fakes {

struct Program {
  enum class Kind {
    sleeps,         // until SIGKILL
    exits,          // at once with `exit_code`
    prints,         // `text` and a line end, then exits with 0
    copies,         // each line of its stdin to its stdout; exits with 0 at end of file
    repeats,        // prints `text` again and again until SIGKILL
    exits_on_term,  // with `exit_code` at SIGTERM
    missing,        // the file is not there
    no_program,     // the file cannot be executed
  };
  Kind kind = Kind::sleeps;
  int exit_code = 0;
  std::string text{};
};

inline std::vector<std::string> args_of(const Program& program) {
  const std::string code = std::to_string(program.exit_code);
  switch (program.kind) {
    case Program::Kind::sleeps:
      return {"sleep", "1000"};
    case Program::Kind::exits:
      return {"sh", "-c", "exit " + code};
    case Program::Kind::prints:
      return {"echo", program.text};
    case Program::Kind::copies:
      return {"cat"};
    case Program::Kind::repeats:
      return {"sh", "-c", "while :; do echo " + program.text + "; sleep 0.02; done"};
    case Program::Kind::exits_on_term:
      return {"sh", "-c", "trap 'exit " + code + "' TERM; while :; do sleep 0.05; done"};
    case Program::Kind::missing:
      return {"/no/such"};
    case Program::Kind::no_program:
      return {"/etc"};
  }
  return {};
}

// The reverse; every other command sleeps.
inline Program program_of(const std::vector<std::string>& args) {
  using Kind = Program::Kind;
  const std::string first = args.empty() ? "" : args.front();
  if (first == "/no/such") return {.kind = Kind::missing};
  if (first == "/etc") return {.kind = Kind::no_program};
  if (first == "cat") return {.kind = Kind::copies};
  if (first == "echo" && args.size() == 2) return {.kind = Kind::prints, .text = args[1]};
  if (first != "sh" || args.size() != 3) return {};
  const std::string& script = args[2];
  const std::string loop = "while :; do echo ";
  if (script.rfind(loop, 0) == 0) {
    const std::string text = script.substr(loop.size());
    return {.kind = Kind::repeats, .text = text.substr(0, text.find(';'))};
  }
  const std::size_t number = script.find("exit ");
  if (number == std::string::npos) return {};
  const int exit_code = std::stoi(script.substr(number + 5));
  const bool trapped = script.rfind("trap ", 0) == 0;
  return {.kind = trapped ? Kind::exits_on_term : Kind::exits, .exit_code = exit_code};
}

}  // namespace berth::fakes
