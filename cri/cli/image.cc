// SPDX-License-Identifier: Apache-2.0
// berth image inspect|rm|prune|tag|pin|unpin: operations on local images. inspect and rm use only
// the CRI.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cri/cli/display.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

using ImageNames = std::shared_ptr<std::vector<std::string>>;

Result<cri::ImageStatusResponse> image_status_of(Client& client, const std::string& name,
                                                 bool verbose) {
  cri::ImageStatusRequest request;
  request.mutable_image()->set_image(name);
  request.set_verbose(verbose);
  TRY(auto response, client.call(&Images::Stub::ImageStatus, request));
  if (!response.has_image()) return make_error(Errc::not_found, "no image `" + name + "`");
  return response;
}

Result<int> image_inspect(const Session& session, const std::vector<std::string>& names) {
  Client client = session.connect();
  Json all = Json::array();
  for (const std::string& name : names) {
    TRY(const auto response, image_status_of(client, name, true));
    all.push_back(
        {{"image", message_json(response.image())}, {"info", info_json(response.info())}});
  }
  print_json(all);
  return 0;
}

// Refuses to remove an image that a container uses, or to remove several tags by one id.
Status check_unused(Client& client, const cri::Image& image, const std::string& name) {
  TRY(const auto listed, client.call(&Runtime::Stub::ListContainers, cri::ListContainersRequest()));
  std::string users;
  for (const cri::Container& container : listed.containers()) {
    if (container.image_id() != image.id() && container.image_ref() != image.id()) continue;
    users += (users.empty() ? "" : ", ") + container.metadata().name() + " (" +
             short_id(container.id()) + ")";
  }
  if (!users.empty()) {
    return make_error(Errc::failed_precondition,
                      "`" + name + "` is used by " + users + "; -f removes it all the same");
  }
  const bool by_tag = std::find(image.repo_tags().begin(), image.repo_tags().end(), name) !=
                      image.repo_tags().end();
  const bool by_id = image.id().find(name) != std::string::npos;
  if (!by_tag && by_id && image.repo_tags_size() > 1) {
    return make_error(Errc::failed_precondition, "`" + name + "` has " +
                                                     std::to_string(image.repo_tags_size()) +
                                                     " tags, which would all go; name one, or -f");
  }
  return {};
}

Result<int> image_rm(const Session& session, const std::vector<std::string>& names, bool force) {
  Client client = session.connect();
  for (const std::string& name : names) {
    TRY(const auto status, image_status_of(client, name, false));
    if (!force) TRY_(check_unused(client, status.image(), name));
    cri::RemoveImageRequest request;
    request.mutable_image()->set_image(name);
    TRY(const auto removed,
        client.call(&Images::Stub::RemoveImage, request, session.long_call_timeout()));
    static_cast<void>(removed);
    print(name + "\n");
  }
  return 0;
}

Result<int> image_prune(const Session& session, bool all, bool dry_run) {
  Client client = session.connect();
  own::PruneRequest request;
  request.set_all(all);
  request.set_dry_run(dry_run);
  TRY(const auto response,
      client.call("image prune", &OwnImages::Stub::Prune, request, session.long_call_timeout()));
  if (session.json()) {
    print_json(message_json(response));
    return 0;
  }
  for (const own::PrunedImage& image : response.images()) {
    const std::string name = image.names().empty() ? "<none>" : image.names(0);
    print((dry_run ? "would remove " : "removed ") + short_id(image.image_id()) + "  " + name +
          "  " + human_size(image.size()) + "\n");
  }
  if (!dry_run) print("freed " + human_size(response.freed_bytes()) + "\n");
  return 0;
}

Result<int> image_tag(const Session& session, const std::string& image, const std::string& target) {
  Client client = session.connect();
  own::TagRequest request;
  request.set_image(image);
  request.set_target(target);
  TRY(const auto response,
      client.call("image tag", &OwnImages::Stub::Tag, request, client.timeout()));
  print(response.image_id() + "\n");
  return 0;
}

Result<int> image_pin(const Session& session, const std::vector<std::string>& names, bool pinned) {
  Client client = session.connect();
  for (const std::string& name : names) {
    own::PinRequest request;
    request.set_image(name);
    request.set_pinned(pinned);
    TRY(const auto response,
        client.call(session.verb, &OwnImages::Stub::Pin, request, client.timeout()));
    print(response.image_id() + "\n");
  }
  return 0;
}

ImageNames image_names(CLI::App* command) {
  auto names = std::make_shared<std::vector<std::string>>();
  command->add_option("IMAGE", *names, "ids, tags or digests")->required();
  return names;
}

void add_image_changes(CLI::App& image, Session& session) {
  CLI::App* tag = add_verb(image, session, "tag", "Give an image one more name");
  auto words = std::make_shared<std::pair<std::string, std::string>>();
  tag->add_option("IMAGE", words->first, "id, tag or digest")->required();
  tag->add_option("TARGET", words->second, "the new name, with or without a tag")->required();
  on_run(tag, session,
         [&session, words] { return image_tag(session, words->first, words->second); });

  CLI::App* pin = add_verb(image, session, "pin", "Keep images from every garbage collection");
  const ImageNames pinned = image_names(pin);
  on_run(pin, session, [&session, pinned] { return image_pin(session, *pinned, true); });
  CLI::App* unpin = add_verb(image, session, "unpin", "Take pins away");
  const ImageNames unpinned = image_names(unpin);
  on_run(unpin, session, [&session, unpinned] { return image_pin(session, *unpinned, false); });
}

void add_image_removals(CLI::App& image, Session& session) {
  CLI::App* rm = add_verb(image, session, "rm", "Remove images, or names of them");
  const ImageNames removed = image_names(rm);
  auto force = std::make_shared<bool>(false);
  rm->add_flag("-f,--force", *force, "also what containers use, and all tags of an id");
  on_run(rm, session, [&session, removed, force] { return image_rm(session, *removed, *force); });

  CLI::App* prune = add_verb(image, session, "prune", "Remove images that nobody uses");
  auto all = std::make_shared<bool>(false);
  auto dry_run = std::make_shared<bool>(false);
  prune->add_flag("-a,--all", *all, "also those with a tag");
  prune->add_flag("-n,--dry-run", *dry_run, "only say what would go");
  add_output_option(prune, session);
  on_run(prune, session, [&session, all, dry_run] { return image_prune(session, *all, *dry_run); });
}

}  // namespace

void add_image(CLI::App& app, Session& session) {
  CLI::App* image = app.add_subcommand("image", "What is done with images that are here");
  image->require_subcommand(1);
  CLI::App* inspect = add_verb(*image, session, "inspect", "Print all that is known, as JSON");
  const ImageNames names = image_names(inspect);
  on_run(inspect, session, [&session, names] { return image_inspect(session, *names); });
  add_image_removals(*image, session);
  add_image_changes(*image, session);
  add_image_save(*image, session);
  add_image_load(*image, session);
}

}  // namespace berth::cli
