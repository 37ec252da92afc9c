// SPDX-License-Identifier: Apache-2.0
// berth pull IMAGE...
#include <memory>
#include <string>
#include <vector>

#include "cri/cli/display.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

struct PullOptions {
  std::vector<std::string> images;
  std::string credentials;
  bool quiet = false;
};

Result<int> pull(const Session& session, const PullOptions& options) {
  Client client = session.connect();
  for (const std::string& image : options.images) {
    cri::PullImageRequest request;
    request.mutable_image()->set_image(image);
    if (!options.credentials.empty()) {
      const std::size_t colon = options.credentials.find(':');
      request.mutable_auth()->set_username(options.credentials.substr(0, colon));
      if (colon != std::string::npos) {
        request.mutable_auth()->set_password(options.credentials.substr(colon + 1));
      }
    }
    TRY(const auto response, client.call(&Images::Stub::PullImage, request, session.patient()));
    print(options.quiet ? response.image_ref() + "\n" : image + ": " + response.image_ref() + "\n");
  }
  return 0;
}

}  // namespace

void add_pull(CLI::App& app, Session& session) {
  CLI::App* command = add_verb(app, session, "pull", "Pull images from their registries");
  auto options = std::make_shared<PullOptions>();
  command->add_option("IMAGE", options->images, "image references")->required();
  command->add_option("--creds", options->credentials, "USER[:PASSWORD] for the registry");
  command->add_flag("-q,--quiet", options->quiet, "print the image id only");
  on_run(command, session, [&session, options] { return pull(session, *options); });
}

}  // namespace berth::cli
