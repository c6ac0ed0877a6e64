// Exporters and the merging of variables; what real tools make of them is tests/export.
#include "level/export/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "level/export/merge.h"
#include "level/export/tool_view.h"
#include "level/expression.h"
#include "profile/glibc_version.h"

namespace cpulevel::level {
namespace {

using testing::HasSubstr;
using testing::Not;

Level level_named(std::string_view expression, arch::Architecture architecture = arch::Architecture::x86_64) {
    auto level = parse_level(expression, architecture);
    EXPECT_TRUE(level) << expression;
    return level.value_or(Level{});
}

Export exported(std::string_view expression, std::string_view format, const ExportOptions& options = {}) {
    auto made = export_level(level_named(expression), format, options);
    EXPECT_TRUE(made) << format;
    return made.value_or(Export{});
}

std::string merged(std::string_view format, std::string_view theirs, std::string_view expression = "x86-64-v2") {
    const Level level = level_named(expression);
    const auto made = export_level(level, format, {});
    EXPECT_TRUE(made && made->environment.size() == 1) << format;
    return merge(made->environment.at(0), theirs, level, {}).value;
}

TEST(Version, ReadsAndOrders) {
    EXPECT_EQ(parse_version("2.36"), (Version{2, 36, 0}));
    EXPECT_EQ(parse_version("21"), (Version{21, 0, 0}));
    EXPECT_LT(*parse_version("2.9"), *parse_version("2.10"));
    for (const char* bad : {"", "0", "a", "2.", "2.36.1.1", "2.-1", "99999", "2 .3"}) EXPECT_FALSE(parse_version(bad)) << bad;
}

TEST(GlibcVersion, IsFoundInTheLoader) {
    EXPECT_EQ(profile::glibc_version_in("\0ld.so (Debian GLIBC 2.36-9) stable release version 2.36.\n"), std::nullopt);
    EXPECT_EQ(profile::glibc_version_in("ld.so (Debian GLIBC 2.36-9) stable release version 2.36.\n\1"), "2.36");
    EXPECT_EQ(profile::glibc_version_in("development release version 2.40.9000"), "2.40.9000");
    EXPECT_EQ(profile::glibc_version_in("release version "), std::nullopt);
    EXPECT_EQ(profile::glibc_version_in(""), std::nullopt);
}

TEST(Export, GlibcNamesFollowTheVersion) {
    const auto at = [](const char* version) {
        ExportOptions options;
        options.versions["glibc"] = *parse_version(version);
        return exported("x86-64-v2", "glibc", options).text;
    };
    EXPECT_THAT(at("2.28"), HasSubstr("glibc.tune.hwcaps="));
    EXPECT_THAT(at("2.28"), HasSubstr("-AVX2_Usable"));
    EXPECT_THAT(at("2.28"), Not(HasSubstr("-XSAVE,")));
    EXPECT_THAT(at("2.32"), HasSubstr("glibc.cpu.hwcaps="));
    EXPECT_THAT(at("2.32.5"), HasSubstr("_Usable"));
    EXPECT_THAT(at("2.33"), Not(HasSubstr("_Usable")));
    EXPECT_THAT(at("2.33"), HasSubstr("-XSAVE,"));
    EXPECT_THAT(at("99.1"), HasSubstr("-AVX2"));
}

TEST(Export, AnUnknownVersionIsAnError) {
    ExportOptions options;
    options.versions["glibc"] = {2, 3, 0};
    EXPECT_FALSE(export_level(level_named("x86-64-v2"), "glibc", options));
    EXPECT_FALSE(export_level(level_named("x86-64-v2"), "env", options));
    options.versions = {{"glib", {2, 36, 0}}};
    EXPECT_FALSE(export_level(level_named("x86-64-v2"), "gcc", options));
}

TEST(Export, SaysWhereItHasNoMeaning) {
    for (const arch::Architecture architecture : arch::architectures()) {
        Level level;
        level.architecture = architecture;
        const auto known = formats_for(architecture);
        for (const Format& format : formats()) {
            const auto made = export_level(level, format.name, {});
            if (std::ranges::find(known, format.name) != known.end()) continue;
            ASSERT_FALSE(made) << format.name;
            EXPECT_THAT(made.error().message(), HasSubstr("no meaning for " + std::string(arch::name(architecture))));
        }
    }
}

TEST(Export, AChoiceNeverUsesWhatIsHidden) {
    EXPECT_EQ(exported("x86-64-v4", "openblas").text, "OPENBLAS_CORETYPE=SkylakeX\n");
    EXPECT_EQ(exported("x86-64-v4-avx512cd", "openblas").text, "OPENBLAS_CORETYPE=Haswell\n");
    EXPECT_EQ(exported("x86-64-v3-fma", "openblas").text, "OPENBLAS_CORETYPE=Sandybridge\n");
    const Export least = exported("x86-64", "openblas");
    EXPECT_EQ(least.text, "OPENBLAS_CORETYPE=Prescott\n");
    EXPECT_THAT(names(arch::table(arch::Architecture::x86_64), least.cannot_hide), testing::ElementsAre("sse3"));
}

TEST(Export, CompilerOptionsTakeOffAndAdd) {
    EXPECT_EQ(exported("x86-64-v3-bmi2+aes", "gcc").text, "-march=x86-64-v3 -mno-bmi2 -maes\n");
    EXPECT_EQ(exported("x86-64-v2", "clang").text, "-march=x86-64-v2\n");
}

TEST(Export, AFixedModelIsRefusedRatherThanShowingMore) {
    const auto made = export_level(level_named("armv8.0-a", arch::Architecture::aarch64), "qemu", {});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().kind, ErrorKind::refused);
    EXPECT_THAT(made.error().message(), HasSubstr("cortex-a72"));
}

TEST(Export, AnIdentityCannotSayMoreThanItself) {
    Level level = level_named("x86-64-v2");
    level.identity = profile::Identity{"ab,+avx512fx", "brand,+avx2 \n\x01", 6, 60, 3};
    const auto made = export_level(level, "qemu", {});
    ASSERT_TRUE(made);
    // A comma would end the value, doubled or not.
    EXPECT_THAT(made->text, HasSubstr(",vendor=ab +avx512fx,family=6,model=60,stepping=3,model-id=brand +avx2"));
    EXPECT_EQ(made->text.find('\n'), made->text.size() - 1);
    level.identity->vendor = "Intel";
    EXPECT_THAT(export_level(level, "qemu", {})->text, Not(HasSubstr("vendor=")));
}

TEST(Export, ALabelIsOneThatKubernetesTakes) {
    Level level = level_named("x86-64-v2");
    level.name = "fleet of \"Köln\"+aes/" + std::string(100, '.');
    const auto made = export_level(level, "nfd", {});
    ASSERT_TRUE(made);
    const std::string label = made->text.substr(0, made->text.find('='));
    EXPECT_LE(label.size(), 63U);
    EXPECT_THAT(label, testing::MatchesRegex("[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])"));
}

TEST(Merge, GlibcKeepsEverythingOfTheUser) {
    const std::string ours = merged("glibc", "");
    EXPECT_EQ(merged("glibc", "glibc.malloc.check=3"), "glibc.malloc.check=3:" + ours);
    const std::string list = ours.substr(ours.find('=') + 1);
    EXPECT_EQ(merged("glibc", "glibc.cpu.hwcaps=-SSE4_1:glibc.malloc.check=3"),
              "glibc.cpu.hwcaps=-SSE4_1," + list + ":glibc.malloc.check=3");
    // glibc takes the last of two settings of one name.
    EXPECT_EQ(merged("glibc", "glibc.cpu.hwcaps=-A:glibc.cpu.hwcaps=-B"),
              "glibc.cpu.hwcaps=-A:glibc.cpu.hwcaps=-B," + list);
    EXPECT_EQ(merged("glibc", "glibc.cpu.hwcaps="), ours);
}

TEST(Merge, OpensslLetsThroughWhatBothDo) {
    const Level level = level_named("x86-64-v2");
    const Setting masks{"OPENSSL_ia32cap", "~0xf0:~0xff", 0};
    const auto with = [&](const Setting& ours, const char* theirs) { return merge(ours, theirs, level, {}).value; };
    EXPECT_EQ(with(masks, "~0x3:~0x100"), "~0xf3:~0x1ff");
    EXPECT_EQ(with(masks, "0xff:0x1ff"), "0xf:0x100");
    EXPECT_EQ(with(masks, ":~0x100"), "~0xf0:~0x1ff");
    EXPECT_EQ(with(masks, "~0x3"), "~0xf3:0x0");  // OpenSSL clears the second word where there is none
    EXPECT_EQ(with(masks, "~0x3:~0x0:~0x7"), "~0xf3:~0xff:~0x7");
    EXPECT_EQ(with({"OPENSSL_ia32cap", "0xf:0x1", 0}, "~0x3:~0x0"), "0xc:0x1");
    EXPECT_EQ(with(masks, "none"), masks.value);
    EXPECT_NE(merge(masks, "none", level, {}).note, "");
}

TEST(Merge, ALowerCeilingOfTheUserStays) {
    EXPECT_THAT(merged("java", "-Dx=y -XX:UseAVX=0", "x86-64-v3"), testing::StartsWith("-Dx=y -XX:UseAVX=0 "));
    EXPECT_THAT(merged("java", "-XX:UseAVX=0", "x86-64-v3"), Not(HasSubstr("UseAVX=2")));
    EXPECT_THAT(merged("java", "-XX:UseAVX=3", "x86-64-v3"), HasSubstr("-XX:UseAVX=3 -XX:+IgnoreUnrecognizedVMOptions -XX:UseAVX=2"));
    EXPECT_EQ(merged("openblas", "nehalem"), "nehalem");
    EXPECT_EQ(merged("openblas", "Core2"), "Core2");
    EXPECT_EQ(merged("openblas", "Haswell"), "Nehalem");
    EXPECT_EQ(merged("openblas", "Future"), "Nehalem");
    EXPECT_THAT(merged("go", "gctrace=1,cpu.avx2=on"), testing::StartsWith("gctrace=1,cpu.avx2=on,cpu."));
    EXPECT_THAT(merged("numpy", "SSE42"), testing::StartsWith("SSE42 AVX"));
}

}  // namespace
}  // namespace cpulevel::level
