// SPDX-License-Identifier: Apache-2.0
// berth pull IMAGE...: shows progress if stderr is a terminal and the runtime has berth.v1. Other
// runtimes are asked with PullImage of the CRI.
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cri/cli/credentials.h"
#include "cri/cli/display.h"
#include "cri/cli/pull_screen.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

struct PullOptions {
  std::vector<std::string> images;
  Credentials credentials;
  bool quiet = false;
};

std::int64_t pull_now_ms() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

Result<own::PullDone> watched_pull(Client& client, const own::PullRequest& request, bool shown,
                                   std::chrono::seconds timeout) {
  const auto context = client.context(timeout);
  const auto reader = client.own_images().Pull(context.get(), request);
  PullScreen screen(request.image().image());
  TerminalBlock terminal(STDERR_FILENO);
  own::PullEvent event;
  own::PullDone done;
  own::PullEvent latest;
  while (reader->Read(&event)) {
    if (event.has_done()) {
      done = event.done();
      for (own::LayerProgress& layer : *latest.mutable_layers()) {
        layer.set_stage(own::LayerProgress::DONE);
      }
    } else {
      latest = event;
    }
    if (!shown) continue;
    terminal.draw(screen.lines(latest, pull_now_ms(), terminal.columns(), terminal.rows()));
  }
  TRY_(client.status_of(reader->Finish()));
  return done;
}

// A pull without progress, through the CRI.
Result<own::PullDone> plain_pull(Client& client, const own::PullRequest& request,
                                 std::chrono::seconds timeout) {
  cri::PullImageRequest plain;
  *plain.mutable_image() = request.image();
  if (request.has_auth()) *plain.mutable_auth() = request.auth();
  TRY(const auto response, client.call(&Images::Stub::PullImage, plain, timeout));
  own::PullDone done;
  done.set_image_id(response.image_ref());
  return done;
}

Result<int> pull(const Session& session, const PullOptions& options) {
  Client client = session.connect();
  const bool shown = !options.quiet && ::isatty(STDERR_FILENO) == 1;
  cri::AuthConfig auth;
  TRY_(options.credentials.put_into(&auth));
  for (const std::string& image : options.images) {
    own::PullRequest request;
    request.mutable_image()->set_image(image);
    request.mutable_image()->set_user_specified_image(image);
    if (options.credentials.given()) *request.mutable_auth() = auth;
    const std::int64_t begin = pull_now_ms();
    bool has_progress = true;
    Result<own::PullDone> done = watched_pull(client, request, shown, session.long_call_timeout());
    if (!done.ok() && done.error().is(Errc::unimplemented)) {
      has_progress = false;
      done = plain_pull(client, request, session.long_call_timeout());
    }
    if (!done.ok()) return std::move(done).error();
    if (options.quiet) {
      print(done->image_id() + "\n");
    } else if (has_progress) {
      print(pull_summary(image, *done, pull_now_ms() - begin) + "\n");
    } else {
      print(image + ": " + done->image_id() + "\n");
    }
  }
  return 0;
}

}  // namespace

void add_pull(CLI::App& app, Session& session) {
  CLI::App* command = add_verb(app, session, "pull", "Pull images from their registries");
  auto options = std::make_shared<PullOptions>();
  command->add_option("IMAGE", options->images, "image references")->required();
  add_credentials(command, &options->credentials);
  command->add_flag("-q,--quiet", options->quiet, "print the image id only");
  on_run(command, session, [&session, options] { return pull(session, *options); });
}

}  // namespace berth::cli
