// SPDX-License-Identifier: Apache-2.0
// berth push IMAGE [TARGET]: pushes a local image to a registry.
#include <unistd.h>

#include <memory>
#include <string>

#include "cri/cli/credentials.h"
#include "cri/cli/display.h"
#include "cri/cli/pull_screen.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

struct PushOptions {
  std::string image;
  std::string target;
  Credentials credentials;
  bool quiet = false;
};

Result<int> push(const Session& session, const PushOptions& options) {
  Client client = session.connect();
  own::PushRequest request;
  request.set_image(options.image);
  request.set_target(options.target);
  if (options.credentials.given() || options.credentials.password_stdin) {
    TRY_(options.credentials.put_into(request.mutable_auth()));
  }
  const bool shown = !options.quiet && ::isatty(STDERR_FILENO) == 1;
  const auto context = Client::context(session.long_call_timeout());
  const auto reader = client.own_images().Push(context.get(), request);
  const std::string name = options.target.empty() ? options.image : options.target;
  TerminalBlock terminal(STDERR_FILENO);
  own::PushEvent event;
  own::PushDone done;
  while (reader->Read(&event)) {
    if (event.has_done()) {
      done = event.done();
    } else if (shown) {
      terminal.draw(
          {name + ": pushing " + human_size(event.pushed()) + " / " + human_size(event.size())});
    }
  }
  const Status finished = client.status_of(reader->Finish());
  if (!finished.ok()) return client.for_verb("push", finished.error());
  if (options.quiet) {
    print(done.digest() + "\n");
    return 0;
  }
  print(name + ": " + done.digest() + " " + human_size(done.pushed_bytes()) + " in " +
        std::to_string(done.blobs_pushed()) + " blobs, " + std::to_string(done.blobs_present()) +
        " were there, " + std::to_string(done.blobs_mounted()) + " mounted\n");
  return 0;
}

}  // namespace

void add_push(CLI::App& app, Session& session) {
  CLI::App* command = add_verb(app, session, "push", "Push a local image to a registry");
  auto options = std::make_shared<PushOptions>();
  command->add_option("IMAGE", options->image, "id, tag or digest")->required();
  command->add_option("TARGET", options->target, "where to; the image's own name if not given");
  add_credentials(command, &options->credentials);
  command->add_flag("-q,--quiet", options->quiet, "print the digest only");
  on_run(command, session, [&session, options] { return push(session, *options); });
}

}  // namespace berth::cli
