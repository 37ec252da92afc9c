// SPDX-License-Identifier: Apache-2.0
// berth images [-q] [-o json]
#include <memory>
#include <string>

#include "cri/cli/display.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

struct ImagesOptions {
  std::string reference;
  bool quiet = false;
  bool digests = false;
  bool whole_ids = false;
};

struct Name {
  std::string repository;
  std::string suffix;  // the tag or the digest
};

// The tag follows the last colon after the last slash. A colon before that slash precedes a port.
Name split_tag(const std::string& tagged) {
  const std::size_t slash = tagged.rfind('/');
  const std::size_t colon = tagged.rfind(':');
  if (colon == std::string::npos || (slash != std::string::npos && colon < slash)) {
    return {tagged, "<none>"};
  }
  return {tagged.substr(0, colon), tagged.substr(colon + 1)};
}

Name split_digest(const std::string& digested) {
  const std::size_t at = digested.find('@');
  if (at == std::string::npos) return {digested, "<none>"};
  return {digested.substr(0, at), digested.substr(at + 1)};
}

void add_rows(const cri::Image& image, const ImagesOptions& options, Table* table) {
  const std::string id = options.whole_ids ? image.id() : short_id(image.id());
  const std::string size = human_size(image.size());
  if (options.digests) {
    for (const std::string& digested : image.repo_digests()) {
      const Name name = split_digest(digested);
      table->add({name.repository, name.suffix, id, size});
    }
    return;
  }
  for (const std::string& tagged : image.repo_tags()) {
    const Name name = split_tag(tagged);
    table->add({name.repository, name.suffix, id, size});
  }
  if (!image.repo_tags().empty()) return;
  const std::string repository =
      image.repo_digests().empty() ? "<none>" : split_digest(image.repo_digests(0)).repository;
  table->add({repository, "<none>", id, size});
}

Result<int> images(const Session& session, const ImagesOptions& options) {
  Client client = session.connect();
  cri::ListImagesRequest request;
  if (!options.reference.empty()) {
    request.mutable_filter()->mutable_image()->set_image(options.reference);
  }
  TRY(const auto response, client.call(&Images::Stub::ListImages, request));
  if (session.json()) {
    print_json(message_json(response)["images"]);
    return 0;
  }
  Table table({"REPOSITORY", options.digests ? "DIGEST" : "TAG", "IMAGE ID", "SIZE"});
  for (const cri::Image& image : response.images()) {
    if (options.quiet) {
      print((options.whole_ids ? image.id() : short_id(image.id())) + "\n");
    } else {
      add_rows(image, options, &table);
    }
  }
  if (!options.quiet) print(table.text());
  return 0;
}

}  // namespace

void add_images(CLI::App& app, Session& session) {
  CLI::App* command = add_verb(app, session, "images", "List images");
  auto options = std::make_shared<ImagesOptions>();
  command->add_option("REFERENCE", options->reference, "only this image");
  command->add_flag("-q,--quiet", options->quiet, "print ids only");
  command->add_flag("--digests", options->digests, "digests instead of tags");
  command->add_flag("--no-trunc", options->whole_ids, "whole ids");
  add_output_option(command, session);
  on_run(command, session, [&session, options] { return images(session, *options); });
}

}  // namespace berth::cli
