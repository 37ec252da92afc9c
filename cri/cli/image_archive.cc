// SPDX-License-Identifier: Apache-2.0
// berth image save and load: transfers archives between berthd and a file or a pipe.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/base/units.h"
#include "cri/cli/display.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

constexpr std::size_t kArchivePieceBytes = 256_KiB;

struct SaveOptions {
  std::vector<std::string> images;
  std::string output;
  std::string format = "oci";
};

Status write_piece(int fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return sys_error(errno, "write", name);
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

Status receive_archive(Client& client, const own::SaveRequest& request, int fd,
                       const std::string& name, std::chrono::seconds timeout) {
  const auto context = Client::context(timeout);
  const auto reader = client.own_images().Save(context.get(), request);
  own::Chunk chunk;
  Status written;
  while (written.ok() && reader->Read(&chunk)) written = write_piece(fd, chunk.data(), name);
  if (!written.ok()) context->TryCancel();
  const grpc::Status finished = reader->Finish();
  if (!written.ok()) return written;
  return client.status_of(finished);
}

// Writes to a temporary name and renames the file when it is complete.
Status save_to_file(Client& client, const own::SaveRequest& request, const std::string& path,
                    std::chrono::seconds timeout) {
  const std::string partial = path + ".partial";
  UniqueFd fd(::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd.valid()) return sys_error(errno, "open", partial);
  Status done = receive_archive(client, request, fd.get(), partial, timeout);
  if (done.ok() && ::rename(partial.c_str(), path.c_str()) != 0) {
    done = sys_error(errno, "rename", partial);
  }
  if (!done.ok()) ::unlink(partial.c_str());
  return done;
}

Result<int> image_save(const Session& session, const SaveOptions& options) {
  const bool to_stdout = options.output.empty() || options.output == "-";
  if (to_stdout && ::isatty(STDOUT_FILENO) == 1) {
    return make_error(Errc::invalid_argument,
                      "an archive is not for a terminal: redirect it, or -o FILE");
  }
  Client client = session.connect();
  own::SaveRequest request;
  for (const std::string& image : options.images) request.add_images(image);
  request.set_format(options.format == "docker" ? own::SaveRequest::DOCKER_ARCHIVE
                                                : own::SaveRequest::OCI_LAYOUT);
  Status saved =
      to_stdout
          ? receive_archive(client, request, STDOUT_FILENO, "stdout", session.long_call_timeout())
          : save_to_file(client, request, options.output, session.long_call_timeout());
  if (!saved.ok()) return client.for_verb("image save", std::move(saved).error());
  return 0;
}

Status send_archive(grpc::ClientWriterInterface<own::Chunk>& writer, int fd,
                    const std::string& name) {
  own::Chunk chunk;
  std::string* piece = chunk.mutable_data();
  for (;;) {
    piece->resize(kArchivePieceBytes);
    const ssize_t got = ::read(fd, piece->data(), piece->size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error(errno, "read", name);
    if (got == 0) return {};
    piece->resize(static_cast<std::size_t>(got));
    // The server has ended the call; Finish returns the reason.
    if (!writer.Write(chunk)) return {};
  }
}

Result<int> image_load(const Session& session, const std::string& input) {
  const bool from_stdin = input.empty() || input == "-";
  if (from_stdin && ::isatty(STDIN_FILENO) == 1) {
    return make_error(Errc::invalid_argument, "an archive is wanted on stdin, or -i FILE");
  }
  UniqueFd file;
  if (!from_stdin) {
    file.reset(::open(input.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) return sys_error(errno, "open", input);
  }
  Client client = session.connect();
  const auto context = Client::context(session.long_call_timeout());
  own::LoadResponse response;
  const auto writer = client.own_images().Load(context.get(), &response);
  const Status sent =
      send_archive(*writer, from_stdin ? STDIN_FILENO : file.get(), from_stdin ? "stdin" : input);
  if (!sent.ok()) context->TryCancel();
  writer->WritesDone();
  const grpc::Status finished = writer->Finish();
  if (!sent.ok()) return sent.error();
  if (!finished.ok()) return client.for_verb("image load", client.status_of(finished).error());
  for (const own::LoadedImage& image : response.images()) {
    std::string names;
    for (const std::string& name : image.names()) names += "  " + name;
    print(image.image_id() + names + "\n");
  }
  for (const own::PassedOver& one : response.passed_over()) {
    std::fprintf(stderr, "berth: image load: passed over: %s %s\n", one.digest().c_str(),
                 one.reason().c_str());
  }
  return 0;
}

}  // namespace

void add_image_save(CLI::App& image, Session& session) {
  CLI::App* command = add_verb(image, session, "save", "Write images into a tar archive");
  auto options = std::make_shared<SaveOptions>();
  command->add_option("IMAGE", options->images, "ids, tags or digests")->required();
  command->add_option("-o,--output", options->output, "a file; stdout when not given");
  command->add_option("--format", options->format, "oci (an oci-layout) or docker")
      ->check(CLI::IsMember({"oci", "docker"}));
  on_run(command, session, [&session, options] { return image_save(session, *options); });
}

void add_image_load(CLI::App& image, Session& session) {
  CLI::App* command =
      add_verb(image, session, "load", "Take images from a tar archive: oci-layout or docker");
  auto input = std::make_shared<std::string>();
  command->add_option("-i,--input", *input, "a file; stdin when not given");
  on_run(command, session, [&session, input] { return image_load(session, *input); });
}

}  // namespace berth::cli
