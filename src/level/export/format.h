// The formats, each made by the file of its name; entered in formats() of export.cpp.
#pragma once

#include "level/export/export.h"

namespace cpulevel::level {

#define CPULEVEL_EXPORT(name) Result<Export> export_##name(const Level& level, const ExportOptions& options)
[[nodiscard]] CPULEVEL_EXPORT(glibc);
[[nodiscard]] CPULEVEL_EXPORT(openssl);
[[nodiscard]] CPULEVEL_EXPORT(go);
[[nodiscard]] CPULEVEL_EXPORT(java);
[[nodiscard]] CPULEVEL_EXPORT(crac);
[[nodiscard]] CPULEVEL_EXPORT(node);
[[nodiscard]] CPULEVEL_EXPORT(numpy);
[[nodiscard]] CPULEVEL_EXPORT(openblas);
[[nodiscard]] CPULEVEL_EXPORT(mkl);
[[nodiscard]] CPULEVEL_EXPORT(onednn);
[[nodiscard]] CPULEVEL_EXPORT(rr);
[[nodiscard]] CPULEVEL_EXPORT(gvisor);
[[nodiscard]] CPULEVEL_EXPORT(qemu);
[[nodiscard]] CPULEVEL_EXPORT(libvirt);
[[nodiscard]] CPULEVEL_EXPORT(gcc);
[[nodiscard]] CPULEVEL_EXPORT(clang);
[[nodiscard]] CPULEVEL_EXPORT(nfd);
[[nodiscard]] CPULEVEL_EXPORT(kubernetes);
[[nodiscard]] CPULEVEL_EXPORT(environment);
#undef CPULEVEL_EXPORT

}  // namespace cpulevel::level
