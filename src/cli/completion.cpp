// `cpulevel completion SHELL`: a completion script made from the options that the commands really have, so that it
// cannot fall behind. An option's type name says what its value is: FILE, LEVEL (a file or a named level), or {a,b,c}.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "arch/feature.h"
#include "cli/command.h"
#include "cli/output.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

enum class Value : unsigned char { none, any, file, level, choice };

struct OptionWords {
    std::vector<std::string> names;  // "--json", "-o"; empty for a positional
    std::string description;
    Value value = Value::none;
    std::vector<std::string> choices;
};

struct CommandWords {
    Command command;
    std::vector<OptionWords> options;
    Value positional = Value::none;
    std::vector<std::string> positional_choices;
};

OptionWords words_of(const CLI::Option& option) {
    OptionWords words;
    for (const std::string& name : option.get_snames()) words.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) words.names.push_back("--" + name);
    words.description = option.get_description();
    if (option.get_items_expected_max() == 0) return words;
    const std::string type = option.get_type_name();
    const auto open = type.find('{');
    const auto close = type.find('}');
    words.value = Value::any;
    if (open != std::string::npos && close != std::string::npos && open < close) {
        words.value = Value::choice;
        for (const auto choice : split(std::string_view(type).substr(open + 1, close - open - 1), ',')) {
            words.choices.emplace_back(trim(choice));
        }
    } else if (type.starts_with("LEVEL")) {
        words.value = Value::level;
    } else if (type.find("FILE") != std::string::npos || type.starts_with("NODE")) {
        words.value = Value::file;
    }
    return words;
}

std::vector<CommandWords> all_words() {
    std::vector<CommandWords> all;
    for (const Command& command : commands()) {
        if (command.hidden) continue;
        CLI::App app;
        static_cast<void>(set_up(command, app));
        CommandWords words{.command = command, .options = {}, .positional = Value::none, .positional_choices = {}};
        for (const CLI::Option* option : app.get_options()) {
            OptionWords one = words_of(*option);
            if (!one.names.empty()) {
                words.options.push_back(std::move(one));
            } else if (words.positional == Value::none) {
                words.positional = one.value;
                words.positional_choices = std::move(one.choices);
            }
        }
        all.push_back(std::move(words));
    }
    return all;
}

std::string level_names() {
    std::vector<std::string> names;
    for (const arch::Architecture architecture : arch::architectures()) {
        for (const arch::NamedLevel& level : arch::table(architecture).levels()) names.emplace_back(level.name);
    }
    return join(names, " ");
}

std::string command_names(const std::vector<CommandWords>& all) {
    std::vector<std::string> names;
    for (const CommandWords& one : all) names.emplace_back(one.command.name);
    return join(names, " ");
}

// For a word inside single quotes of a shell; a description needs no quotes of its own.
std::string quotable(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '\n') break;
        result += c == '\'' ? '`' : c;
    }
    return result;
}

std::string bash_values(Value value, const std::vector<std::string>& choices) {
    switch (value) {
        case Value::choice: return fmt::format("COMPREPLY=($(compgen -W '{}' -- \"$word\"))", join(choices, " "));
        case Value::level: return "COMPREPLY=($(compgen -W \"$levels\" -- \"$word\") $(compgen -f -- \"$word\"))";
        case Value::file: return "COMPREPLY=($(compgen -f -- \"$word\"))";
        case Value::any:
        case Value::none: return "COMPREPLY=()";
    }
    return "COMPREPLY=()";
}

std::string bash(const std::vector<CommandWords>& all) {
    std::string text = "# bash completion for cpulevel; made by `cpulevel completion bash`\n_cpulevel() {\n";
    text += "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n";
    text += fmt::format("    local levels='{}' i\n    COMPREPLY=()\n", level_names());
    text += fmt::format(
        "    if ((COMP_CWORD == 1)); then\n        COMPREPLY=($(compgen -W '{} --help --version' -- \"$word\"))\n"
        "        return\n    fi\n",
        command_names(all));
    text += "    case $command in\n";
    for (const CommandWords& one : all) {
        text += fmt::format("    {})\n", one.command.name);
        if (one.command.takes_program) {
            text +=
                "        for ((i = 2; i < COMP_CWORD; i++)); do\n"
                "            if [[ ${COMP_WORDS[i]} == -- ]]; then\n"
                "                if ((i + 1 == COMP_CWORD)); then COMPREPLY=($(compgen -c -- \"$word\"))\n"
                "                else COMPREPLY=($(compgen -f -- \"$word\")); fi\n"
                "                return\n            fi\n        done\n";
        }
        text += "        case $previous in\n";
        std::vector<std::string> names;
        for (const OptionWords& option : one.options) {
            names.insert(names.end(), option.names.begin(), option.names.end());
            if (option.value == Value::none) continue;
            text += fmt::format("        {}) {}; return ;;\n", join(option.names, "|"),
                                bash_values(option.value, option.choices));
        }
        text += "        esac\n";
        text += fmt::format("        if [[ $word == -* ]]; then COMPREPLY=($(compgen -W '{}' -- \"$word\"))\n",
                            join(names, " "));
        const std::string positional = one.command.takes_program ? "COMPREPLY=($(compgen -c -- \"$word\"))"
                                                                 : bash_values(one.positional, one.positional_choices);
        text += fmt::format("        else {}; fi\n        ;;\n", positional);
    }
    return text + "    esac\n}\ncomplete -o filenames -F _cpulevel cpulevel\n";
}

std::string fish(const std::vector<CommandWords>& all) {
    std::string text = "# fish completion for cpulevel; made by `cpulevel completion fish`\ncomplete -c cpulevel -f\n";
    for (const CommandWords& one : all) {
        text += fmt::format("complete -c cpulevel -n __fish_use_subcommand -a {} -d '{}'\n", one.command.name,
                            quotable(one.command.summary));
    }
    for (const CommandWords& one : all) {
        const std::string when =
            fmt::format("complete -c cpulevel -n '__fish_seen_subcommand_from {}'", one.command.name);
        for (const OptionWords& option : one.options) {
            std::string line = when;
            for (const std::string& name : option.names) {
                line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
            }
            switch (option.value) {
                case Value::none: break;
                case Value::any: line += " -x"; break;
                case Value::choice: line += fmt::format(" -x -a '{}'", join(option.choices, " ")); break;
                case Value::file: line += " -r -F"; break;
                case Value::level: line += fmt::format(" -r -F -a '{}'", level_names()); break;
            }
            text += fmt::format("{} -d '{}'\n", line, quotable(option.description));
        }
        if (one.command.takes_program) {
            text += when + " -a '(__fish_complete_subcommand --fcs-skip=2)'\n";
        } else if (one.positional == Value::level) {
            text += fmt::format("{} -F -a '{}'\n", when, level_names());
        } else if (one.positional == Value::file) {
            text += when + " -F\n";
        } else if (one.positional == Value::choice) {
            text += fmt::format("{} -a '{}'\n", when, join(one.positional_choices, " "));
        }
    }
    return text;
}

std::string zsh_action(Value value, const std::vector<std::string>& choices) {
    switch (value) {
        case Value::choice: return fmt::format(":value:({})", join(choices, " "));
        case Value::level:
            return fmt::format(":level:{{_alternative \"files:file:_files\" \"levels:level:({})\"}}", level_names());
        case Value::file: return ":file:_files";
        case Value::any: return ":value:";
        case Value::none: return {};
    }
    return {};
}

// In a _arguments specification ':' and the brackets have a meaning.
std::string zsh_text(std::string_view text) {
    std::string result;
    for (const char c : quotable(text)) {
        if (c == '[' || c == ']' || c == ':') result += '\\';
        result += c;
    }
    return result;
}

std::string zsh(const std::vector<CommandWords>& all) {
    std::string text =
        "#compdef cpulevel\n# zsh completion for cpulevel; made by `cpulevel completion zsh`\n_cpulevel() {\n";
    text += "    local -a commands\n    commands=(\n";
    for (const CommandWords& one : all) {
        text += fmt::format("        '{}:{}'\n", one.command.name, zsh_text(one.command.summary));
    }
    text += "    )\n    if ((CURRENT == 2)); then\n        _describe command commands\n        return\n    fi\n";
    text += "    local command=${words[2]}\n    shift words\n    ((CURRENT--))\n    case $command in\n";
    for (const CommandWords& one : all) {
        text += fmt::format("    {})\n        _arguments -S", one.command.name);
        for (const OptionWords& option : one.options) {
            for (const std::string& name : option.names) {
                text += fmt::format(" \\\n            '{}[{}]{}'", name, zsh_text(option.description),
                                    zsh_action(option.value, option.choices));
            }
        }
        if (one.command.takes_program) {
            text += " \\\n            '*::program:_normal'";
        } else if (one.positional != Value::none) {
            text += fmt::format(" \\\n            '*{}'", zsh_action(one.positional, one.positional_choices));
        }
        text += "\n        ;;\n";
    }
    return text + "    esac\n}\n_cpulevel \"$@\"\n";
}

Action setup(CLI::App& app) {
    auto shell = std::make_shared<std::string>();
    app.add_option("SHELL", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
    return [shell](const Invocation&) -> Result<int> {
        const std::vector<CommandWords> all = all_words();
        const std::string text = *shell == "bash" ? bash(all) : *shell == "zsh" ? zsh(all) : fish(all);
        if (const auto written = write_standard_output(text); !written) return std::unexpected(written.error());
        return 0;
    };
}

const Registration kRegistration({.name = "completion",
                                  .order = 900,
                                  .summary = "Print the completion script for a shell",
                                  .details = {},
                                  .examples = "  cpulevel completion bash > /etc/bash_completion.d/cpulevel\n"
                                              "  cpulevel completion fish > ~/.config/fish/completions/cpulevel.fish\n",
                                  .hidden = true,
                                  .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
