// Archives made here byte by byte, and such as tar programs make.
#include "intake/tar.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace cpulevel::intake {
namespace {

using Members = std::vector<std::pair<std::string, std::string>>;

std::string header(const std::string& name, std::size_t size, char type = '0', const std::string& prefix = {}) {
    std::string block(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) { block.replace(at, text.size(), text); };
    put(0, name.substr(0, 100));
    put(100, "0000644");
    put(124, fmt::format("{:011o}", size));
    put(136, "00000000000");
    block[156] = type;
    put(257, std::string("ustar\0"
                         "00",
                         8));
    put(345, prefix);
    put(148, "        ");
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    return block;
}

std::string padded(std::string content) {
    content.resize((content.size() + 511) / 512 * 512, '\0');
    return content;
}

std::string member(const std::string& name, const std::string& content, char type = '0') {
    return header(name, content.size(), type) + padded(content);
}

std::string pax_record(const std::string& key, const std::string& value) {
    std::size_t length = key.size() + value.size() + 3;
    while (std::to_string(length).size() + key.size() + value.size() + 3 != length) {
        length = std::to_string(length).size() + key.size() + value.size() + 3;
    }
    return fmt::format("{} {}={}\n", length, key, value);
}

const std::string kEnd(1024, '\0');

Result<Members> read(std::string_view archive, std::size_t* links = nullptr,
                     std::size_t chunk = ChunkedSource::kUsual) {
    const auto source = from_memory(archive);
    TarReader tar(*source, "test.tar", chunk);
    Members members;
    for (;;) {
        const auto next = tar.next();
        if (!next) return std::unexpected(next.error());
        if (links != nullptr) *links = tar.links_skipped();
        if (!*next) return members;
        const auto content = tar.content();
        if (!content) return std::unexpected(content.error());
        EXPECT_EQ(content->size(), (*next)->size);
        members.emplace_back((*next)->name, *content);
    }
}

TEST(Tar, NamesOfEveryKind) {
    const std::string far(300, 'd');
    const std::string archive = member("plain", "one") + member("empty", "") + header("folder/", 0, '5') +
                                header("name", 3, '0', "long/prefix") + padded("two") +
                                member("x", pax_record("mtime", "1.5") + pax_record("path", far), 'x') +
                                member("short", "three") +
                                member("././@LongLink", far + "2" + std::string(1, '\0'), 'L') + member("cut", "four") +
                                header("link", 0, '2') + member("old", "five", '\0') + kEnd;
    std::size_t links = 0;
    const auto members = read(archive, &links);
    ASSERT_TRUE(members) << members.error().message();
    EXPECT_EQ(*members, (Members{{"plain", "one"},
                                 {"empty", ""},
                                 {"long/prefix/name", "two"},
                                 {far, "three"},
                                 {far + "2", "four"},
                                 {"old", "five"}}));
    EXPECT_EQ(links, 1U);
    EXPECT_TRUE(looks_like_tar(archive));
    EXPECT_FALSE(looks_like_tar("{\"schema\""));
}

// Wherever the pieces end that the archive is read in, and whatever became of those before.
TEST(Tar, ChunksOfEverySize) {
    Members wanted;
    std::string archive;
    for (std::size_t i = 0; i < 40; ++i) {
        wanted.emplace_back(fmt::format("name{}", i), std::string(i * i * 7 % 3000, static_cast<char>('a' + i % 26)));
        archive += member(wanted.back().first, wanted.back().second);
    }
    archive += kEnd;
    for (std::size_t chunk = 1; chunk < 6000; chunk += chunk < 600 ? 1 : 97) {
        const auto members = read(archive, nullptr, chunk);
        ASSERT_TRUE(members) << members.error().message();
        ASSERT_EQ(*members, wanted) << chunk;
    }
}

TEST(Tar, ContentStaysWhileItsChunkIsHeld) {
    const std::string archive = member("a", std::string(900, 'x')) + member("b", std::string(900, 'y')) +
                                member("c", std::string(900, 'z')) + kEnd;
    const auto source = from_memory(archive);
    TarReader tar(*source, "test.tar", 2048);
    ASSERT_TRUE(tar.next());
    const auto first = tar.content();
    ASSERT_TRUE(first);
    const ChunkHandle held = tar.chunk();
    ASSERT_TRUE(tar.next());
    ASSERT_TRUE(tar.content());
    ASSERT_TRUE(tar.next());
    const auto third = tar.content();
    ASSERT_TRUE(third);
    EXPECT_NE(tar.chunk(), held);
    EXPECT_EQ(*first, std::string(900, 'x'));
    EXPECT_EQ(*third, std::string(900, 'z'));
}

TEST(Tar, SkipsWhatIsNotRead) {
    const std::string archive = member("a", std::string(5000, 'x')) + member("b", "y") + kEnd;
    const auto source = from_memory(archive);
    TarReader tar(*source, "test.tar");
    ASSERT_EQ((*tar.next())->name, "a");
    ASSERT_EQ((*tar.next())->name, "b");
    EXPECT_FALSE(*tar.next());
    EXPECT_FALSE(*tar.next());
}

TEST(Tar, EveryCutIsAnError) {
    const std::string archive = member("a", std::string(700, 'x')) + member("b", "y");
    for (std::size_t length = 0; length <= archive.size(); ++length) {
        const auto members = read(std::string_view(archive).substr(0, length));
        ASSERT_FALSE(members) << length;
        EXPECT_NE(members.error().message().find("test.tar"), std::string::npos);
    }
    EXPECT_TRUE(read(archive + kEnd));
}

TEST(Tar, DamageIsAnError) {
    const std::string good = member("a", "x");
    std::string sum = good;
    sum[0] = 'b';
    EXPECT_FALSE(read(sum + kEnd));
    EXPECT_FALSE(read(member("x", "99999 path=a\n", 'x') + good + kEnd));
    EXPECT_FALSE(read(member("x", "5 a\n", 'x') + good + kEnd));
    EXPECT_FALSE(read(member("x", pax_record("size", "x"), 'x') + good + kEnd));
    EXPECT_FALSE(read(member("x", pax_record("size", "99999999999999999"), 'x') + good + kEnd));
    EXPECT_FALSE(read(header("x", 1U << 30U, 'x') + kEnd));
    EXPECT_FALSE(read(header("sparse", 0, 'S') + kEnd));
    EXPECT_FALSE(read(member("", "x") + kEnd));
}

// Bytes changed at random.
TEST(Tar, RandomDamageEnds) {
    std::mt19937 random(1);
    for (int round = 0; round < 2000; ++round) {
        std::string archive = member("a", std::string(random() % 900, 'x')) +
                              member("b", pax_record("path", "c"), 'x') + member("d", "e") + kEnd;
        for (unsigned long i = 0; i < 1 + random() % 4; ++i)
            archive[random() % archive.size()] = static_cast<char>(random());
        const auto members = read(archive);  // whatever it says, it ends, and gives no more than there is
        if (!members) continue;
        std::size_t bytes = 0;
        for (const auto& [name, content] : *members) bytes += content.size();
        EXPECT_LE(bytes, archive.size());
    }
}

}  // namespace
}  // namespace cpulevel::intake
