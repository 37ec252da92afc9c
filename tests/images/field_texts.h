// SPDX-License-Identifier: Apache-2.0
// Documents in the rows of a table, which refer to each other and abbreviate media types:
//
//   text NAME CONTENT      defines a text; CONTENT may contain the references below
//   <NAME> its digest      <NAME#> its size      <aa> the digest of 64 times "a"
//   <manifest> <index> <config> <layer>          media types of the OCI; <docker-...> docker's
#pragma once

#include <map>
#include <string>

#include "core/oci/digest.h"
#include "core/oci/image.h"
#include "tests/images/field_rows.h"

namespace berth::field {

class Texts {
 public:
  // False: `step` is not a step of this kind.
  bool take(const Step& step) {
    if (step.verb != "text") return false;
    texts_[step.word()] = expand(step.word(1));
    return true;
  }
  void set(const std::string& name, const std::string& word) { words_[name] = word; }
  const std::string& text(const std::string& name) const { return texts_.at(name); }

  std::string expand(const std::string& word) const {
    std::string out;
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t end = word.find('>', at);
      if (word[at] == '<' && end != std::string::npos) {
        out += meaning(word.substr(at + 1, end - at - 1));
        at = end + 1;
      } else {
        out += word[at++];
      }
    }
    return out;
  }
  Step expand(Step step) const {
    for (std::string& word : step.words) word = expand(word);
    return step;
  }

 private:
  std::string meaning(const std::string& name) const {
    namespace types = oci::media_type;
    static const std::map<std::string, std::string> kTypes = {
        {"manifest", std::string(types::kImageManifest)},
        {"index", std::string(types::kImageIndex)},
        {"config", std::string(types::kImageConfig)},
        {"layer", "application/vnd.oci.image.layer.v1.tar"},
        {"docker-manifest", std::string(types::kDockerManifest)},
        {"docker-list", std::string(types::kDockerManifestList)},
        {"docker-config", std::string(types::kDockerConfig)}};
    if (const auto type = kTypes.find(name); type != kTypes.end()) return type->second;
    if (const auto word = words_.find(name); word != words_.end()) return word->second;
    if (const auto text = texts_.find(name); text != texts_.end()) {
      return oci::digest_of(text->second).text();
    }
    if (name.ends_with("#")) {
      const auto text = texts_.find(name.substr(0, name.size() - 1));
      if (text != texts_.end()) return std::to_string(text->second.size());
    }
    if (name.size() == 2 && name[0] == name[1]) return "sha256:" + std::string(64, name[0]);
    ADD_FAILURE() << "no text has the name <" << name << ">";
    return {};
  }

  std::map<std::string, std::string> texts_;
  std::map<std::string, std::string> words_;
};

}  // namespace berth::field
