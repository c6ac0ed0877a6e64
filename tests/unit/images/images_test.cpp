// CRIU's images: what they say, and what is done about those that say nonsense. Real dumps are in tests/fixtures/images.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "images/checkpoint.h"
#include "images/image_file.h"
#include "util/file.h"
#include "../temporary_folder.h"
#include "writer.h"

namespace cpulevel::images::test {
namespace {

using testing::HasSubstr;

using cpulevel::test::TemporaryFolder;

Message x86_core(std::uint64_t header = 7) {
    return Message()
        .number(1, 1)
        .message(2, Message()
                        .number(1, 0)
                        .message(2, Message().number(17, 0x401000).number(18, 0x33).number(20, 0x7ffd1000).number(28, 1))
                        .message(3, Message().number(1, 0x37f).message(13, Message().number(1, header).packed(2, {0, 0, 5, 0}).packed(6, {0, 0}))))
        .message(3, Message().number(1, 1).number(5, 0x200).bytes(6, "victim"))
        .message(5, Message().number(1, 0).number(6, 0x201).message(7, Message().number(1, 0x7f0000000000).number(2, 8192).number(3, 0)));
}

void put_checkpoint(const TemporaryFolder& folder) {
    folder.write("inventory.img", image(kInventoryMagic, {Message().number(1, 2)}));
    folder.write("pstree.img", image(kTreeMagic, {Message().number(1, 42).number(2, 0).number(3, 42).number(4, 42).packed(5, {42, 43})}));
    folder.write("core-42.img", image(kCoreMagic, {x86_core()}));
    folder.write("core-43.img", image(kCoreMagic, {x86_core(0xe7)}));
    folder.write("mm-42.img", image(kMemoryMagic, {Message()
                                                     .number(12, 3)
                                                     .packed(13, {16, 0x178bfbff, 6, 4096, 0, 0, 99})
                                                     .message(14, Message().number(1, 0x400000).number(2, 0x402000).number(4, 7).number(5, 5).number(7, 0x41))
                                                     .message(14, Message().number(1, 0x7ffd0000).number(2, 0x7ffe0000).number(4, 0).number(5, 3).number(7, 0x201))}));
    folder.write("files.img", image(kFilesMagic, {Message().number(1, 1).number(2, 7).message(3, Message().number(1, 7).number(2, 0).bytes(6, "/bin/victim")),
                                                Message().number(1, 6).number(2, 8).message(7, Message().number(1, 8))}));
    folder.write("pagemap-42.img", image(kPageMapMagic, {Message().number(1, 1), Message().number(1, 0x7ffd0000).number(2, 1).number(4, 4),
                                                       Message().number(1, 0x7ffd1000).number(2, 2).number(4, 1),
                                                       Message().number(1, 0x7ffd5000).number(2, 0).number(4, 4).number(5, 1)}));
    folder.write("pages-1.img", std::string(4096, 'a') + std::string(4096, 'b'));
}

TEST(Images, ACheckpointAsAWhole) {
    const TemporaryFolder folder;
    put_checkpoint(folder);
    const auto checkpoint = read_checkpoint(folder.path());
    ASSERT_TRUE(checkpoint) << checkpoint.error().message();
    ASSERT_EQ(checkpoint->processes.size(), 1U);
    const DumpedProcess& process = checkpoint->processes.front();
    EXPECT_EQ(process.name, "victim");
    EXPECT_EQ(process.architecture, arch::Architecture::x86_64);
    ASSERT_EQ(process.threads.size(), 2U);
    EXPECT_EQ(process.threads[1].first, 43);
    const Core& core = process.threads[0].second;
    EXPECT_EQ(core.stack_pointer, 0x7ffd1000U);
    EXPECT_EQ(core.blocked_signals, 0x201U);  // the thread's, not the process's old one
    EXPECT_EQ(core.state_header, 7U);
    EXPECT_EQ(core.state_in_use, 7U);  // the upper halves of YMM hold something
    EXPECT_EQ(process.threads[1].second.state_in_use, 0xa7U);  // no fields for opmask and Hi16_ZMM: in use; ZMM_Hi256 is all zero
    ASSERT_TRUE(core.alternate_stack);
    EXPECT_EQ(core.alternate_stack->size, 8192U);
    EXPECT_EQ(process.aux_vector->find(16), 0x178bfbffU);
    EXPECT_FALSE(process.aux_vector->find(99));
    ASSERT_EQ(process.areas.size(), 2U);
    EXPECT_EQ(process.areas[0].path, "/bin/victim");
    EXPECT_TRUE(process.areas[0].area.executable);
    EXPECT_TRUE(process.areas[1].path.empty());

    ASSERT_TRUE(process.pages);
    std::vector<std::byte> bytes(8192);
    EXPECT_EQ(process.pages->read(0x7ffd0ff0, bytes), 16U);  // the next pages are in a parent that is not there
    EXPECT_EQ(bytes[0], std::byte{'a'});
    EXPECT_EQ(process.pages->read(0x7ffd5000, bytes), 4096U);
    EXPECT_EQ(bytes[0], std::byte{'b'});
    EXPECT_EQ(process.pages->read(0x10000, bytes), 0U);
}

// What is not there would be taken for what was never changed.
TEST(Images, AFileOfPagesThatIsCut) {
    const TemporaryFolder folder;
    put_checkpoint(folder);
    for (const std::size_t size : {std::size_t{0}, std::size_t{4096}, std::size_t{8191}}) {
        folder.write("pages-1.img", std::string(size, 'a'));
        const auto checkpoint = read_checkpoint(folder.path());
        ASSERT_FALSE(checkpoint) << size;
        EXPECT_THAT(checkpoint.error().message(), testing::AllOf(HasSubstr("the image is cut"), HasSubstr("pages-1.img"), HasSubstr("8192")));
    }
}

// Opened as a file, a pipe that nobody writes to would be waited for.
TEST(Images, APipeInPlaceOfAFileIsRefused) {
    for (const char* name : {"inventory.img", "pstree.img", "core-42.img", "mm-42.img", "files.img", "pagemap-42.img", "pages-1.img"}) {
        const TemporaryFolder folder;
        put_checkpoint(folder);
        const std::string path = folder.path() + "/" + name;
        std::filesystem::remove(path);
        ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
        const auto checkpoint = read_checkpoint(folder.path());
        ASSERT_FALSE(checkpoint) << name;
        EXPECT_THAT(checkpoint.error().message(), testing::AllOf(HasSubstr("not a"), HasSubstr(name)));
    }
}

TEST(Images, AMissingListOfFilesIsNamedAsItIsNow) {
    const TemporaryFolder folder;
    put_checkpoint(folder);
    std::filesystem::rename(folder.path() + "/files.img", folder.path() + "/elsewhere");
    EXPECT_THAT(read_checkpoint(folder.path()).error().message(), HasSubstr("/files.img"));
}

TEST(Images, PagesOfAnEarlierDump) {
    const TemporaryFolder folder;
    put_checkpoint(folder);
    std::filesystem::create_directory(folder.path() + "/parent");
    folder.write("parent/pagemap-42.img", image(kPageMapMagic, {Message().number(1, 3), Message().number(1, 0x7ffd1000).number(2, 2)}));
    folder.write("parent/pages-3.img", std::string(8192, 'p'));
    const auto checkpoint = read_checkpoint(folder.path());
    ASSERT_TRUE(checkpoint) << checkpoint.error().message();
    std::vector<std::byte> bytes(16384);
    EXPECT_EQ(checkpoint->processes[0].pages->read(0x7ffd0000, bytes), 3 * 4096U);
    EXPECT_EQ(bytes[4096], std::byte{'p'});
    std::filesystem::remove_all(folder.path() + "/parent");
    std::filesystem::create_directory_symlink(".", folder.path() + "/parent");  // its own parent
    EXPECT_FALSE(read_checkpoint(folder.path()));
}

TEST(Images, Arm64WithKeys) {
    const Message regs = Message().packed(1, std::vector<std::uint64_t>(31)).number(2, 0xffffe000).number(3, 0x401000).number(4, 0);
    const auto core = [&](std::uint64_t enabled) {
        const Message keys = Message().number(1, 11).number(8, 18).number(9, enabled);
        return parse_core(Message()
                              .number(1, 3)
                              .message(8, Message().number(1, 0).number(2, 0).message(3, regs).message(4, Message().number(2, 0).number(3, 0)).message(5, Message().message(6, keys)))
                              .message(3, Message().number(1, 1).bytes(6, "arm"))
                              .text());
    };
    ASSERT_TRUE(core(15));
    EXPECT_EQ(core(15)->architecture, arch::Architecture::aarch64);
    EXPECT_EQ(core(15)->stack_pointer, 0xffffe000U);
    EXPECT_EQ(core(15)->pointer_keys, true);
    EXPECT_EQ(core(0)->pointer_keys, false);
}

TEST(Images, ThirtyTwoBitAndShadowStackAndKeys) {
    const auto core = parse_core(Message()
                                     .number(1, 1)
                                     .message(2, Message()
                                                     .message(2, Message().number(18, 0x23).number(20, 0xff001000).number(28, 2))
                                                     .message(3, Message().message(13, Message().number(1, 0xA03).packed(8, {0x55555550}).message(9, Message().number(1, 1).number(2, 0x7f00)))))
                                     .text());
    ASSERT_TRUE(core) << core.error().message();
    EXPECT_TRUE(core->is_32bit);
    EXPECT_TRUE(core->shadow_stack);
    EXPECT_EQ(core->pkru, 0x55555550U);
    EXPECT_EQ(core->state_in_use, 0x203U);
}

TEST(Images, ZombiesAreLeftOut) {
    const TemporaryFolder folder;
    put_checkpoint(folder);
    folder.write("core-42.img", image(kCoreMagic, {Message().number(1, 1).message(3, Message().number(1, 6).bytes(6, "gone"))}));
    const auto checkpoint = read_checkpoint(folder.path());
    ASSERT_TRUE(checkpoint) << checkpoint.error().message();
    EXPECT_TRUE(checkpoint->processes.empty());
}

// CRIU has no threads of a process that was dead, and writes what happens to be in memory where their numbers would be.
TEST(Images, ThreadsOfADeadProcessAreNotBelieved) {
    const TemporaryFolder folder;
    put_checkpoint(folder);
    const Message alive = Message().number(1, 42).number(2, 0).packed(5, {42, 43});
    folder.write("pstree.img", image(kTreeMagic, {alive, Message().number(1, 44).number(2, 42).packed(5, {1137211504})}));
    folder.write("core-44.img", image(kCoreMagic, {Message().number(1, 1).message(3, Message().number(1, 2).bytes(6, "gone"))}));
    const auto checkpoint = read_checkpoint(folder.path());
    ASSERT_TRUE(checkpoint) << checkpoint.error().message();
    ASSERT_EQ(checkpoint->processes.size(), 1U);
    EXPECT_EQ(checkpoint->processes[0].pid, 42);
    folder.write("core-44.img", image(kCoreMagic, {x86_core()}));  // who lived has threads with numbers
    EXPECT_THAT(read_checkpoint(folder.path()).error().message(), HasSubstr("pstree.img: 1137211504 is no process number"));
}

TEST(Images, WhatANewerCriuAddsIsSkipped) {
    Message core = x86_core();
    core.number(900, 1).bytes(901, "more");
    ASSERT_TRUE(parse_core(core.text()));
    EXPECT_TRUE(parse_inventory(Message().number(1, 2).bytes(40, "more").text()));
}

TEST(Images, WhatChangesTheMeaningIsRefusedByName) {
    EXPECT_THAT(parse_inventory(Message().number(1, 3).text()).error().message(), HasSubstr("img_version is 3"));
    EXPECT_THAT(parse_core(Message().number(1, 77).text()).error().message(), HasSubstr("mtype is 77"));
    EXPECT_THAT(parse_page_run(Message().number(1, 0x1000).number(2, 1).number(4, 0x14).text()).error().message(), HasSubstr("0x14"));
}

TEST(Images, NonsenseIsRefused) {
    EXPECT_FALSE(parse_core(Message().number(1, 1).text()));                                     // no registers
    EXPECT_FALSE(parse_core(Message().number(1, 1).number(2, 5).text()));                        // a number for a message
    EXPECT_FALSE(parse_tree_entry(Message().number(2, 1).text()));                               // no number
    EXPECT_FALSE(parse_tree_entry(Message().number(1, 0x80000000).text()));
    EXPECT_FALSE(parse_page_run(Message().number(1, ~std::uint64_t{0} - 100).number(2, 9).text()));
    EXPECT_FALSE(parse_page_run(Message().number(1, 0).number(5, ~std::uint64_t{0}).text()));
    const auto area = [](std::uint64_t start, std::uint64_t end) { return Message().number(1, start).number(2, end).number(5, 3); };
    EXPECT_FALSE(parse_memory(Message().message(14, area(0x2000, 0x1000)).text()));
    EXPECT_FALSE(parse_memory(Message().message(14, area(0x1000, 0x3000)).message(14, area(0x2000, 0x4000)).text()));
}

TEST(Images, OtherFilesAreToldApart) {
    EXPECT_THAT(messages_of(image(kMemoryMagic, {}), kCoreMagic, "core-1.img").error().message(),
                testing::AllOf(HasSubstr("core-1.img"), HasSubstr("it is a memory description")));
    EXPECT_THAT(messages_of("PNG!....", kCoreMagic, "x").error().message(), HasSubstr("does not know"));
    EXPECT_THAT(messages_of("", kCoreMagic, "x").error().message(), HasSubstr("ends"));
    const auto checkpoint = read_checkpoint("/usr");
    ASSERT_FALSE(checkpoint);
    EXPECT_THAT(checkpoint.error().message(), HasSubstr("not a checkpoint"));
    EXPECT_FALSE(checkpoint.error().hint.empty());
}

// A file cut anywhere, or with a byte changed, is read or refused with its name; nothing else happens.
TEST(Images, CutAndDamagedFiles) {
    const TemporaryFolder folder;
    put_checkpoint(folder);
    for (const char* name : {"inventory.img", "pstree.img", "core-42.img", "mm-42.img", "files.img", "pagemap-42.img"}) {
        const std::string whole = *read_file(folder.path() + "/" + name);
        for (std::size_t size = 0; size < whole.size(); size += whole.size() < 100 ? 1U : 7U) {
            folder.write(name, std::string_view(whole).substr(0, size));
            const auto checkpoint = read_checkpoint(folder.path());
            if (!checkpoint) {
                EXPECT_THAT(checkpoint.error().message(), HasSubstr("img")) << name << " cut at " << size;
            }
            std::string changed = whole;
            changed[size] = static_cast<char>(~changed[size]);
            folder.write(name, changed);
            const auto other = read_checkpoint(folder.path());
            if (!other) {
                EXPECT_FALSE(other.error().message().empty());
            }
        }
        folder.write(name, whole);
        std::filesystem::remove(folder.path() + "/" + name);
        const auto without = read_checkpoint(folder.path());
        if (std::string_view(name) == "pagemap-42.img") {
            ASSERT_TRUE(without);
            EXPECT_THAT(without->processes[0].no_pages_because, HasSubstr("pagemap-42.img"));
        } else {
            EXPECT_FALSE(without) << name;
        }
        folder.write(name, whole);
    }
    ASSERT_TRUE(read_checkpoint(folder.path()));
}

}  // namespace
}  // namespace cpulevel::images::test
