// SPDX-License-Identifier: Apache-2.0
// The promise: our runtime.v1 is the CRI's, name by name and number by number. Both sides are
// turned into the rows of tests/data/cri-v1-fields.tsv, and the sets must be equal.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cri/proto/container.pb.h"

namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::ServiceDescriptor;

constexpr const char* kPackage = "runtime.v1";
using Rows = std::set<std::string>;

std::string row(const std::string& kind, const std::string& parent, const std::string& name,
                const std::string& number, const std::string& type, const std::string& label) {
  return kind + " " + parent + "." + name + " #" + number + " " + type + " [" + label + "]";
}

std::vector<std::string> split(const std::string& line, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(line);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::vector<std::vector<std::string>> table() {
  std::ifstream file(BERTH_CRI_TABLE);
  EXPECT_TRUE(file.is_open()) << BERTH_CRI_TABLE;
  std::vector<std::vector<std::string>> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::vector<std::string> columns = split(line, '\t');
    columns.resize(6);
    lines.push_back(columns);
  }
  return lines;
}

// The table's debug_redact is an option that Debian 12's protoc refuses; its fields are compared as
// if it were not there. Its package row names the file, which is ours to choose.
Rows rows_of_table() {
  Rows rows;
  for (const auto& c : table()) {
    if (c[0] == "gap" || c[0] == "package") continue;
    const std::string label = c[5] == "debug_redact" ? "" : c[5];
    rows.insert(row(c[0], c[1], c[2], c[3], c[4], label));
  }
  return rows;
}

std::string without_package(const std::string& full_name) {
  const std::string prefix = std::string(kPackage) + ".";
  return full_name.starts_with(prefix) ? full_name.substr(prefix.size()) : full_name;
}

std::string type_of(const FieldDescriptor& field) {
  if (field.is_map()) {
    const Descriptor& entry = *field.message_type();
    return "map<" + type_of(*entry.map_key()) + "," + type_of(*entry.map_value()) + ">";
  }
  if (field.message_type() != nullptr) return without_package(field.message_type()->full_name());
  if (field.enum_type() != nullptr) return without_package(field.enum_type()->full_name());
  return field.type_name();
}

std::string label_of(const FieldDescriptor& field) {
  if (field.is_map()) return "map";
  if (field.is_repeated()) return "repeated";
  if (field.real_containing_oneof() != nullptr) return "oneof";
  if (field.has_optional_keyword()) return "optional";
  return field.options().deprecated() ? "deprecated" : "";
}

void add_enum(const EnumDescriptor& type, const std::string& parent, Rows* rows) {
  rows->insert(row("enum", parent, type.name(), "", "", ""));
  for (int i = 0; i < type.value_count(); ++i) {
    rows->insert(row("value", without_package(type.full_name()), type.value(i)->name(),
                     std::to_string(type.value(i)->number()), "", ""));
  }
}

void add_message(const Descriptor& type, const std::string& parent, Rows* rows) {
  if (type.options().map_entry()) return;
  rows->insert(row("message", parent, type.name(), "", "", ""));
  const std::string name = without_package(type.full_name());
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    rows->insert(row("field", name, field.name(), std::to_string(field.number()), type_of(field),
                     label_of(field)));
  }
  for (int i = 0; i < type.nested_type_count(); ++i) add_message(*type.nested_type(i), name, rows);
  for (int i = 0; i < type.enum_type_count(); ++i) add_enum(*type.enum_type(i), name, rows);
}

void add_service(const ServiceDescriptor& service, Rows* rows) {
  rows->insert(row("service", kPackage, service.name(), "", "", ""));
  for (int i = 0; i < service.method_count(); ++i) {
    const auto& method = *service.method(i);
    const std::string streaming = method.client_streaming()   ? "client-stream"
                                  : method.server_streaming() ? "server-stream"
                                                              : "unary";
    rows->insert(row("rpc", service.name(), method.name(), "",
                     method.input_type()->name() + " -> " + method.output_type()->name(),
                     streaming));
  }
}

void add_file(const FileDescriptor& file, std::set<std::string>* seen, Rows* rows) {
  if (!seen->insert(file.name()).second) return;
  EXPECT_EQ(file.package(), kPackage) << file.name();
  for (int i = 0; i < file.dependency_count(); ++i) add_file(*file.dependency(i), seen, rows);
  for (int i = 0; i < file.message_type_count(); ++i)
    add_message(*file.message_type(i), kPackage, rows);
  for (int i = 0; i < file.enum_type_count(); ++i) add_enum(*file.enum_type(i), kPackage, rows);
  for (int i = 0; i < file.service_count(); ++i) add_service(*file.service(i), rows);
}

// Walks services.proto and all it imports: what no rpc can reach is not part of the wire.
Rows rows_of_descriptors() {
  // Descriptors alone do not make the linker take anything from the static library.
  google::protobuf::LinkMessageReflection<runtime::v1::ContainerStatus>();
  Rows rows;
  std::set<std::string> seen;
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  const FileDescriptor* root = pool->FindFileByName("cri/proto/services.proto");
  EXPECT_NE(root, nullptr);
  if (root != nullptr) add_file(*root, &seen, &rows);
  return rows;
}

// The rows of `left` that `right` lacks, one per line.
std::string difference(const Rows& left, const Rows& right) {
  std::string lines;
  for (const std::string& line : left) {
    if (!right.contains(line)) lines += line + "\n";
  }
  return lines;
}

TEST(CriProto, HasEveryRowOfTheTable) {
  const Rows wanted = rows_of_table();
  // 2 services, 43 rpcs, 175 messages, 478 fields, 11 enums, 95 values.
  ASSERT_EQ(wanted.size(), 804u);
  EXPECT_EQ(difference(wanted, rows_of_descriptors()), "");
}

TEST(CriProto, HasNothingTheTableLacks) {
  EXPECT_EQ(difference(rows_of_descriptors(), rows_of_table()), "");
}

TEST(CriProto, LeavesTheGapsUnusedAndUnreserved) {
  google::protobuf::LinkMessageReflection<runtime::v1::ContainerStatus>();
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  int gaps = 0;
  for (const auto& c : table()) {
    if (c[0] != "gap") continue;
    ++gaps;
    const Descriptor* type = pool->FindMessageTypeByName(std::string(kPackage) + "." + c[1]);
    ASSERT_NE(type, nullptr) << c[1];
    const std::vector<std::string> ends = split(c[3], '-');
    for (int number = std::stoi(ends.front()); number <= std::stoi(ends.back()); ++number) {
      EXPECT_EQ(type->FindFieldByNumber(number), nullptr) << c[1] << " " << number;
      EXPECT_FALSE(type->IsReservedNumber(number)) << c[1] << " " << number;
    }
  }
  EXPECT_EQ(gaps, 2);
}

}  // namespace
