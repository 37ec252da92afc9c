// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/table.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <random>
#include <string>

#include "core/linux/memfd.h"

namespace berth::keeper {
namespace {

UniqueFd table_file() {
  return sys::memfd_create("table").value();
}
UniqueFd again(const Table& table) {
  return UniqueFd(::dup(table.fd()));
}

std::uint32_t add(Table& table, const std::string& name, EntryState state) {
  const std::uint32_t index = table.allocate().value();
  EXPECT_TRUE(table.at(index).name.assign(name));
  table.publish(index, state);
  return index;
}

TEST(Table, FindsByNameAndByPidUntilFreed) {
  Table table = Table::open(table_file()).value();
  const std::uint32_t index = add(table, "c1", EntryState::launching);
  EXPECT_EQ(table.find_process("c1"), index);
  EXPECT_EQ(table.find_held("c1"), kNoEntry);
  table.set_pid(index, 100);
  table.set_pid(index, 200);
  EXPECT_EQ(table.find_pid(100), kNoEntry);
  EXPECT_EQ(table.find_pid(200), index);
  table.publish(index, EntryState::exited);
  EXPECT_EQ(table.find_pid(200), kNoEntry) << "another process may have the number now";
  table.free(index);
  EXPECT_EQ(table.find_process("c1"), kNoEntry);
}

TEST(Table, ProcessAndHeldDescriptorsMayShareAName) {
  Table table = Table::open(table_file()).value();
  const std::uint32_t process = add(table, "p", EntryState::running);
  const std::uint32_t held = add(table, "p", EntryState::held);
  EXPECT_EQ(table.find_process("p"), process);
  EXPECT_EQ(table.find_held("p"), held);
  table.free(process);
  EXPECT_EQ(table.find_held("p"), held);
}

TEST(Table, OutlivesItsKeeper) {
  Table table = Table::open(table_file()).value();
  const std::uint32_t index = add(table, "c1", EntryState::running);
  table.set_pid(index, 77);
  const std::uint64_t serial = table.at(index).serial;
  Table successor = Table::open(again(table)).value();
  EXPECT_EQ(successor.find_process("c1"), index);
  EXPECT_EQ(successor.find_pid(77), index);
  EXPECT_EQ(successor.processes(), 1u);
  const std::uint32_t next = add(successor, "c2", EntryState::running);
  EXPECT_GT(successor.at(next).serial, serial);
}

TEST(Table, FileOfAnotherVersionIsStartedAnew) {
  Table table = Table::open(table_file()).value();
  add(table, "c1", EntryState::running);
  table.header().version = 99;
  Table successor = Table::open(again(table)).value();
  EXPECT_EQ(successor.processes(), 0u);
  EXPECT_EQ(successor.find_process("c1"), kNoEntry);
}

TEST(Table, AgreesWithAMapUnderRandomUse) {
  std::mt19937 random(11);
  Table table = Table::open(table_file()).value();
  std::map<std::string, std::uint32_t> model;
  for (int step = 0; step < 20'000; ++step) {
    const std::string name = "c" + std::to_string(random() % 600);
    const auto known = model.find(name);
    if (known == model.end()) {
      model[name] = add(table, name, EntryState::running);
      table.set_pid(model[name], static_cast<pid_t>(2 + random() % 5000));
    } else if (random() % 2 == 0) {
      table.free(known->second);
      model.erase(known);
    } else {
      ASSERT_EQ(table.find_process(name), known->second);
    }
  }
  EXPECT_EQ(table.processes(), model.size());
  Table successor = Table::open(again(table)).value();
  for (const auto& [name, index] : model) EXPECT_EQ(successor.find_process(name), index);
}

}  // namespace
}  // namespace berth::keeper
