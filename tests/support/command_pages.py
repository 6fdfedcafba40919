"""What natsessionctl says of its commands, in the manual page and for the completion of zsh and fish: made of what the
program tells (--list-commands), so that all say the same as --help.

  command_pages.py PROGRAM PACKAGING    compares; with NATSESSION_GOLDEN_WRITE=1 writes them anew
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

PROTOCOLS = "tcp udp icmp icmpv6 sctp gre dccp udplite"
TIMES = "now today yesterday -1h -1d"
# What may stand behind an option, where it is known; by its name, else by what --help calls the value.
WORDS = {"--format": "json csv logfmt", "--time-format": "unix unix_ms rfc3339", "--fields": "all cloud",
         "--sort": "age bytes_from_vpc bytes_from_pub pri nat pub", "PROTOCOL": PROTOCOLS, "TIME": TIMES,
         "SUM": "bytes_from_vpc bytes_from_pub pkts_from_vpc pkts_from_pub bytes pkts sessions records",
         "FORM": "text json", "TRAFFIC": "all accept reject", "RECORD": "alibaba tencent huawei-v1 huawei-v2 aws",
         "LENGTH": "1m 10m", "FIELD": "instance vpc_id protocol pri_ip pri_port pub_ip pub_port nat_ip nat_port event tcp_state reason zone mark "
                  "netns"}
FILES, FOLDERS = ("FILE", "PATH"), ("DIR",)
SINKS = "natsessionctl --json status 2>/dev/null | sed -n '/\"sinks\"/,/\"ledger\"/s/^ *\"name\": \"\\(.*\\)\",$/\\1/p'"
ACTIONS = {"flow-log": "create list show start stop rename tag delete"}
MADE = "Made by tests/support/command_pages.py of what natsessionctl --list-commands tells."


def options_of(command):
    return [option for option in command["options"] if "--help" not in option["names"]]


def words_of(option):
    return next((WORDS[name] for name in [option["value"], *option["names"]] if name in WORDS), None)


# roff

def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("…", "...")
    return "\\&" + text if text.startswith(".") else text


def lines(text):
    """Not longer than a line of a page's source may be."""
    out = [""]
    for word in text.split(" "):
        if out[-1] and len(out[-1]) + 1 + len(word) > 78:
            out.append("")
        out[-1] += (" " if out[-1] else "") + word
    return [roff(line) for line in out]


def footer_in_roff(footer):
    out, example = [], False
    for line in footer.split("\n"):
        indented = line.startswith(" ")
        if indented != example:
            out += [".PP", ".RS", ".EX"] if indented else [".EE", ".RE"]
            example = indented
        if indented:
            out.append(roff(line.strip()))
        elif line:
            out += ([".PP"] if not out or out[-1] != ".PP" else []) + lines(line)
    return out + ([".EE", ".RE"] if example else [])


def section(told):
    out = [".SH COMMAND LINE", "What", ".B natsessionctl help", "and", ".B natsessionctl help", ".I COMMAND", "say.",
           '.\\" ' + MADE]
    for command in told["commands"]:
        title = f"\\fB{roff(command['name'])}\\fP [\\fIoption\\fP]..."
        for argument in command["arguments"]:
            value = f"\\fI{roff(argument['value'])}\\fP"
            title += f" {value}" if argument["required"] else f" [{value}]"
        out += [".SS " + title, *lines(command["what"].rstrip("?.") + ("?" if command["what"].endswith("?") else "."))]
        for entry in command["arguments"]:
            out += [".TP", f"\\fI{roff(entry['value'])}\\fP", *lines(entry["help"] + ".")]
        for option in options_of(command):
            names = ", ".join(f"\\fB{roff(name)}\\fP" for name in option["names"])
            out += [".TP", names + (f"\\~\\fI{roff(option['value'])}\\fP" if option["value"] else ""),
                    *lines(option["help"] + ".")]
        out += footer_in_roff(command["footer"])
    return "\n".join(out) + "\n"


def manual(page, told):
    end = page.index(".SH EXIT STATUS\n")
    begin = page.find(".SH COMMAND LINE\n")
    return page[:begin if begin >= 0 else end] + section(told) + page[end:]


# zsh

def zsh_text(text):
    return re.sub(r"([\[\]:\\])", r"\\\1", text).replace("'", "'\\''")


def zsh_action(option):
    words = words_of(option)
    if words:
        return f"({words})"
    if option["value"] in FILES:
        return "_files"
    return "_files -/" if option["value"] in FOLDERS else "_natsessionctl_netns" if "--netns" in option["names"] else " "


def zsh_options(command):
    out = []
    for option in options_of(command):
        for name in option["names"]:
            value = f":{option['value']}:{zsh_action(option)}" if option["value"] else ""
            equals = "=" if value and name.startswith("--") else "+" if value else ""
            out.append(f"'*{name}{equals}[{zsh_text(option['help'])}]{value}'")
    return out


def zsh(told):
    out = ["#compdef natsessionctl", "# " + MADE, "", "_natsessionctl_netns() { compadd -- /run/netns/*(N:t) }",
           "_natsessionctl_sinks() {", "    local -a sinks", f"    sinks=(${{(f)\"$({SINKS})\"}})", "    compadd -- $sinks",
           "}", "", "_natsessionctl() {", "    local curcontext=$curcontext state line", "    local -a shared commands",
           "    shared=("] + ["        " + option for option in zsh_options(told)] + ["    )", "    commands=("]
    out += [f"        '{zsh_text(command['name'] + ':')[:-2]}:{zsh_text(command['what'])}'" for command in told["commands"]]
    out += ["        'help:Say what a command does'", "    )",
            "    _arguments -C $shared '1:command:->command' '*::argument:->argument'", "    case $state in",
            "        command) _describe command commands ;;", "        argument)", "            case $words[1] in"]
    for command in told["commands"]:
        rest = {"enable": "1:sink:_natsessionctl_sinks", "disable": "1:sink:_natsessionctl_sinks",
                **{name: f"1:action:({words})" for name, words in ACTIONS.items()}}.get(command["name"])
        out.append(f"                {command['name']})")
        out.append("                    _arguments $shared \\")
        entries = zsh_options(command) + ([f"'{rest}'"] if rest else ["'*: : '"] if command["arguments"] else [])
        out += [f"                        {entry} \\" for entry in entries]
        out[-1] = out[-1].removesuffix(" \\")
        out.append("                    ;;")
    out += ["                help) _describe command commands ;;", "            esac", "            ;;", "    esac", "}", "",
            '_natsessionctl "$@"']
    return "\n".join(out) + "\n"


# fish

def fish_text(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_option(condition, option):
    out = f"complete -c natsessionctl{condition}"
    for name in option["names"]:
        out += f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}"
    words = words_of(option)
    if option["value"] in FILES and not words:
        out += " -r -F"
    elif option["value"] in FOLDERS:
        out += " -x -a '(__fish_complete_directories)'"
    elif "--netns" in option["names"]:
        out += " -x -a '(ls /run/netns 2>/dev/null)'"
    elif option["value"]:
        out += " -x" + (f" -a '{words}'" if words else "")
    return out + f" -d {fish_text(option['help'])}"


def fish(told):
    names = " ".join(command["name"] for command in told["commands"])
    out = ["# " + MADE, "", "function __natsessionctl_sinks", "    " + SINKS, "end", "", "complete -c natsessionctl -f"]
    out += [fish_option("", option) for option in options_of(told)]
    for name, what in [(c["name"], c["what"]) for c in told["commands"]] + [("help", "Say what a command does")]:
        out.append(f"complete -c natsessionctl -n __fish_use_subcommand -a {name} -d {fish_text(what)}")
    out.append(f"complete -c natsessionctl -n '__fish_seen_subcommand_from help' -a '{names}'")
    for command in told["commands"]:
        condition = f" -n '__fish_seen_subcommand_from {command['name']}'"
        out += [fish_option(condition, option) for option in options_of(command)]
        if command["name"] in ("enable", "disable"):
            out.append(f"complete -c natsessionctl{condition} -a '(__natsessionctl_sinks)'")
        if command["name"] in ACTIONS:
            out.append(f"complete -c natsessionctl{condition} -a '{ACTIONS[command['name']]}'")
    return "\n".join(out) + "\n"


def main():
    program, packaging = sys.argv[1], Path(sys.argv[2])
    told = json.loads(subprocess.run([program, "--list-commands"], capture_output=True, text=True, check=True).stdout)
    page = packaging / "man/natsessionctl.1"
    failed = False
    for path, text in ((page, manual(page.read_text(), told)), (packaging / "completion/_natsessionctl", zsh(told)),
                       (packaging / "completion/natsessionctl.fish", fish(told))):
        if os.environ.get("NATSESSION_GOLDEN_WRITE"):
            path.write_text(text)
        if not path.exists() or path.read_text() != text:
            print(f"{path} is not what natsessionctl says: NATSESSION_GOLDEN_WRITE=1 makes it anew")
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
