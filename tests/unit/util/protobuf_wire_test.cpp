#include "util/protobuf_wire.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace cpulevel {
namespace {

using namespace std::string_literals;

std::string varint(std::uint64_t value) {
    std::string bytes;
    while (value >= 0x80) {
        bytes += static_cast<char>((value & 0x7fU) | 0x80U);
        value >>= 7U;
    }
    return bytes + static_cast<char>(value);
}

TEST(ProtobufWire, EveryKindOfField) {
    // The example of the format's description: field 1 = 150; then a string, both fixed sizes, an empty message.
    const std::string text = "\x08\x96\x01"s + "\x12\x07testing"s + "\x1d\x01\x02\x03\x04"s +
                             "\x21\x01\0\0\0\0\0\0\x80"s + "\x2a\0"s;
    WireReader reader(text);
    auto field = reader.next();
    ASSERT_TRUE(field && *field);
    EXPECT_EQ((*field)->number, 1U);
    EXPECT_EQ((*field)->value, 150U);
    field = reader.next();
    EXPECT_EQ((*field)->bytes, "testing");
    field = reader.next();
    EXPECT_EQ((*field)->value, 0x04030201U);
    EXPECT_EQ((*field)->type, WireType::fixed32);
    field = reader.next();
    EXPECT_EQ((*field)->value, 0x8000000000000001U);
    field = reader.next();
    EXPECT_EQ((*field)->number, 5U);
    EXPECT_EQ((*field)->bytes, "");
    field = reader.next();
    ASSERT_TRUE(field);
    EXPECT_FALSE(*field);
}

TEST(ProtobufWire, DamageIsNamed) {
    for (const std::string& text :
         {"\x08"s, "\x08\x80"s, "\x12\x05test"s, "\x1d\x01\x02\x03"s, "\x21\0\0\0\0\0\0\0"s, "\x0b\x0c"s, "\x07\0"s,
          "\x00\x01"s, "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s,
          "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s, "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"s}) {
        WireReader reader(text);
        const auto field = reader.next();
        ASSERT_FALSE(field) << testing::PrintToString(text);
        EXPECT_NE(field.error().message().find("byte 0"), std::string::npos) << field.error().message();
    }
}

TEST(ProtobufWire, VarintsComeBack) {
    std::mt19937_64 random(6);
    for (int i = 0; i < 10000; ++i) {
        const std::uint64_t value = random() >> (random() % 64);
        const std::string bytes = varint(value) + "rest";
        std::string_view text = bytes;
        ASSERT_EQ(take_varint(text), value);
        ASSERT_EQ(text, "rest");
    }
}

TEST(ProtobufWire, RepeatedNumbersPackedOrAlone) {
    const std::string packed = varint(1) + varint(300) + varint(~std::uint64_t{0});
    const auto numbers = repeated_numbers({.number = 6, .type = WireType::bytes, .value = 0, .bytes = packed});
    ASSERT_TRUE(numbers);
    EXPECT_EQ(*numbers, (std::vector<std::uint64_t>{1, 300, ~std::uint64_t{0}}));
    EXPECT_EQ(*repeated_numbers({.number = 6, .type = WireType::varint, .value = 7, .bytes = {}}),
              std::vector<std::uint64_t>{7});
    EXPECT_FALSE(repeated_numbers({.number = 6, .type = WireType::bytes, .value = 0, .bytes = "\x80"}));
}

}  // namespace
}  // namespace cpulevel
