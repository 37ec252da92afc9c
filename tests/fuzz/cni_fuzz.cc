// SPDX-License-Identifier: Apache-2.0
// CNI configurations in both forms, saved attachments, and quantities of bandwidth.
#include "networking/cni/conf.h"
#include "networking/cni/saved.h"
#include "networking/limits/bandwidth.h"
#include "tests/fuzz/fuzz.h"

using berth::fuzz::promise;
namespace cni = berth::networking::cni;

namespace {

void promise_of_conf(const cni::NetworkConf& conf) {
  promise(!conf.name.empty(), "a network has a name");
  promise(cni::is_supported_version(conf.cni_version), "its version is supported");
  promise(!conf.plugins.empty() && conf.plugins.size() <= cni::kPluginsMax, "it has plugins");
  for (const cni::PluginConf& plugin : conf.plugins) {
    promise(!plugin.type.empty() && plugin.type.find('/') == std::string::npos &&
                plugin.type != "." && plugin.type != "..",
            "a type is the name of a file");
    const cni::ExecutionConf execution{.runtime = R"({"portMappings":[]})",
                                       .previous = R"({"cniVersion":"1.0.0"})"};
    promise(cni::execution_conf(conf, plugin, execution).ok(), "it can be executed");
  }
  const auto again = cni::parse_conf(cni::ConfForm::list, cni::conf_text(conf));
  promise(again.ok() && again.value().plugins.size() == conf.plugins.size() &&
              again.value().name == conf.name && again.value().cni_version == conf.cni_version,
          "the text of a configuration reads back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = berth::fuzz::text_of(data, size);
  for (const cni::ConfForm form : {cni::ConfForm::single, cni::ConfForm::list}) {
    const auto conf = cni::parse_conf(form, text);
    if (conf.ok()) promise_of_conf(conf.value());
    if (!conf.ok()) berth::fuzz::promise_one_line(conf.error().message());
  }
  const auto saved = cni::read_saved(text);
  if (saved.ok()) {
    promise(cni::is_container_id(saved.value().container_id), "an id is the name of a file");
    promise(cni::read_saved(cni::saved_text(saved.value())).ok(), "a saved attachment reads back");
  }
  if (!saved.ok()) berth::fuzz::promise_one_line(saved.error().message());
  const auto quantity = berth::networking::parse_quantity(text);
  if (!quantity.ok()) berth::fuzz::promise_one_line(quantity.error().message());
  return 0;
}
