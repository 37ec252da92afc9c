// SPDX-License-Identifier: Apache-2.0
#include "cri/cli/stage_tree.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "cri/cli/display.h"

namespace berth::cli {

namespace {

struct Line {
  std::string label;  // ASCII, so that its size is its width; without the branch
  std::string branch;
  std::size_t branch_columns = 0;
  std::int64_t us = 0;
  std::string share;
};

std::string share_of(std::int64_t us, std::int64_t total_us) {
  if (total_us <= 0) return "";
  return fmt::format("{:.1f}%", 100.0 * static_cast<double>(us) / static_cast<double>(total_us));
}

std::string title(const CallTimes& call) {
  std::string text = call.of.empty() ? call.rpc : call.rpc + " " + call.of;
  if (!call.in_progress) return text;
  text += " (in progress";
  if (!call.stages.empty()) text += ", waiting in " + call.stages.back().name;
  return text + ")";
}

constexpr std::size_t kBranchColumns = 3;

// A line for each stage and, indented below it, for each of its steps.
void add_branches(const std::vector<Stage>& stages, const std::string& indent,
                  std::size_t indent_columns, std::int64_t total_us, std::vector<Line>* lines) {
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const bool is_last = i + 1 == stages.size();
    lines->push_back({stages[i].name, indent + (is_last ? "└─ " : "├─ "),
                      indent_columns + kBranchColumns, stages[i].us,
                      share_of(stages[i].us, total_us)});
    add_branches(stages[i].steps, indent + (is_last ? "   " : "│  "),
                 indent_columns + kBranchColumns, total_us, lines);
  }
}

void add_call(const CallTimes& call, std::int64_t all_us, std::vector<Line>* lines) {
  lines->push_back({title(call), "", 0, call.total_us, share_of(call.total_us, all_us)});
  std::vector<Stage> stages = call.stages;
  std::int64_t claimed_us = 0;
  for (const Stage& stage : stages) claimed_us += stage.us;
  if (claimed_us < call.total_us) {
    stages.push_back({"(between stages)", call.total_us - claimed_us, {}});
  }
  add_branches(stages, "", 0, call.total_us, lines);
}

// Json::value throws when the type is another one; the answer of a runtime must not end this
// program.
std::string string_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "?";
}

std::int64_t number_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<std::int64_t>() : 0;
}

Stage stage_of(const Json& from) {
  Stage stage{string_at(from, "name"), number_at(from, "us"), {}};
  const auto steps = from.find("steps");
  if (steps == from.end() || !steps->is_array()) return stage;
  for (const Json& step : *steps) {
    if (step.is_object()) {
      stage.steps.push_back({string_at(step, "name"), number_at(step, "us"), {}});
    }
  }
  return stage;
}

CallTimes call_of(const Json& entry, const std::string& of) {
  CallTimes call;
  call.of = of;
  call.rpc = string_at(entry, "rpc");
  call.total_us = number_at(entry, "total_us");
  const auto progress = entry.find("in_progress");
  call.in_progress = progress != entry.end() && *progress == true;
  const auto stages = entry.find("stages");
  if (stages == entry.end() || !stages->is_array()) return call;
  for (const Json& stage : *stages) {
    if (stage.is_object()) call.stages.push_back(stage_of(stage));
  }
  return call;
}

}  // namespace

Result<std::vector<CallTimes>> parse_stages(const std::string& text, const std::string& of) {
  const Json document = Json::parse(text, nullptr, false);
  if (!document.is_array()) {
    return make_error(Errc::data_loss, "info[\"stages\"] is no JSON array: " + text.substr(0, 60));
  }
  std::vector<CallTimes> calls;
  for (const Json& entry : document) {
    if (entry.is_object()) calls.push_back(call_of(entry, of));
  }
  return calls;
}

std::string stage_tree(const std::vector<CallTimes>& calls) {
  std::int64_t all_us = 0;
  for (const CallTimes& call : calls) all_us += call.total_us;
  std::vector<Line> lines;
  for (const CallTimes& call : calls) add_call(call, all_us, &lines);
  lines.push_back({"total", "", 0, all_us, ""});

  std::size_t label_columns = 0;
  std::size_t us_columns = 0;
  for (const Line& line : lines) {
    label_columns = std::max(label_columns, line.label.size() + line.branch_columns);
    us_columns = std::max(us_columns, grouped(line.us).size());
  }
  std::string text;
  for (const Line& line : lines) {
    const std::size_t used = line.label.size() + line.branch_columns;
    text += fmt::format("{}{}{:{}}  {:>{}} µs  {:>6}", line.branch, line.label, "",
                        label_columns - used, grouped(line.us), us_columns, line.share);
    while (text.back() == ' ') text.pop_back();
    text += "\n";
  }
  return text;
}

}  // namespace berth::cli
