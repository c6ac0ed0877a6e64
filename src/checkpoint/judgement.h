// May the trees of a checkpoint go on on this machine: as their levels say, and as their images say.
#pragma once

#include <string>
#include <vector>

#include "audit/audit.h"
#include "checkpoint/record.h"
#include "util/error.h"

namespace cpulevel::checkpoint {

struct Judgement {
    std::vector<std::string> against;   // a sentence each, with names; empty: they may
    std::vector<std::string> cautions;  // worth knowing all the same
};

// `folder`: the images. Errors: this machine cannot be asked, the images cannot be read.
[[nodiscard]] Result<Judgement> may_come_here(const Record& record, const std::string& folder);

// The audit of the record's images. Of our own processes among them, which nobody levels, it is known how they were
// started.
[[nodiscard]] Result<audit::Report> audit_images(const Record& record, const std::string& folder,
                                                 const audit::Target& target);

// What of an audit is against a move. What is not known is, as in `cpulevel audit`.
[[nodiscard]] Judgement judgement_of(const audit::Report& report);

// `against` as an error (refused).
[[nodiscard]] Error refusal(const std::string& what, const std::string& on, const Judgement& judgement,
                            const std::string& hint);

}  // namespace cpulevel::checkpoint
