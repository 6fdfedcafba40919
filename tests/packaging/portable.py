#!/usr/bin/env python3
"""portable.py PACKAGE.rpm...: fails where a package, or a program in it, asks for what RHEL 9 or Fedora has not.

Looks at what rpm says it requires, and at the programs: the libraries they need, the versions of symbols, and of
libraries without such versions the functions by name. A function that is new here has to be looked up in the library's
own documentation, and to be added to its list only if RHEL 9's version has it.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

GLIBC = (2, 34)
RPM = (4, 16)  # of RHEL 9: what it can read

# soname: versions of its symbols that may be asked for. RHEL 9 and Fedora have each soname in a package of their own
# repositories (none is from EPEL); the versions named are RHEL 9's.
VERSIONED = {
    "ld-linux-x86-64.so.2": r"GLIBC_[\d.]+",
    "libc.so.6": r"GLIBC_[\d.]+",
    "libm.so.6": r"GLIBC_[\d.]+",
    "libgcc_s.so.1": r"GCC_(3\.[034]|4\.2\.0)",  # gcc 11
    "libmnl.so.0": r"LIBMNL_1\.0",  # 1.0.4
    "libz.so.1": r"ZLIB_1\.2\.([0-9]|11)(\.\d)?",  # 1.2.11; Fedora: zlib-ng-compat
    "libssl.so.3": r"OPENSSL_3\.0\.0",
    "libcrypto.so.3": r"OPENSSL_3\.0\.0",
}

# soname: how its functions begin, and those that are called. All are in the version that stands behind it.
UNVERSIONED = {
    "libcap.so.2": ("cap_", """drop_bound free get_bound get_flag get_proc init set_flag set_proc"""),  # 2.48
    "libmicrohttpd.so.12": (  # 0.9.72
        "MHD_",
        """add_response_footer add_response_header create_response_from_buffer create_response_from_callback destroy_response get_connection_info
        get_connection_values_n lookup_connection_value queue_response start_daemon stop_daemon""",
    ),
    "libseccomp.so.2": (  # 2.5.2
        "seccomp_",
        """attr_set init load release rule_add_array syscall_resolve_name""",
    ),
    "liblz4.so.1": ("LZ4_", """compressBound compress_default"""),  # 1.9.3
    "libz.so.1": ("deflate", """Bound End Init2_"""),
    "libzstd.so.1": (  # 1.5.1
        "ZSTD_",
        """CCtx_setParameter compress compress2 compressBound compressStream2 createCCtx createDCtx decompressDCtx freeCCtx freeDCtx
        isError""",
    ),
}

OTHERS = r"/bin/sh|/usr/sbin/(groupadd|useradd)|rtld\(GNU_HASH\)|config\(natsession(d|-console)\) = \S+"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def number(text):
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def too_new(version):
    return version.startswith("GLIBC_") and number(version) > GLIBC


def allowed_version(soname, version):
    return soname in VERSIONED and re.fullmatch(VERSIONED[soname], version) and not too_new(version)


def wrong_requirements(lines):
    for line in lines:
        library = re.fullmatch(r"([^()\s]+)\(([^()]*)\)(\(64bit\))?", line)
        of_rpm = re.fullmatch(r"rpmlib\(.+\) <= (\S+)", line)
        if re.fullmatch(OTHERS, line):
            continue
        if of_rpm and number(of_rpm[1]) <= RPM or line == "rpmlib(PayloadIsZstd) <= 5.4.18-1":
            continue
        if library and library[2] == "" and (library[1] in VERSIONED or library[1] in UNVERSIONED):
            continue
        if library and allowed_version(library[1], library[2]):
            continue
        yield f"requires {line}"


def wrong_symbols(program):
    headers = run("objdump", "--private-headers", program)
    for soname in re.findall(r"NEEDED\s+(\S+)", headers):
        if soname not in VERSIONED and soname not in UNVERSIONED:
            yield f"needs {soname}"
    for path in re.findall(r"(?:RPATH|RUNPATH)\s+(\S+)", headers):
        yield f"looks for libraries in {path}"
    listed = headers.partition("Version References:")[2]
    for part in re.split(r"required from ", listed)[1:]:
        soname = part.partition(":")[0]
        for version in re.findall(r"^\s+0x\S+ 0x\S+ \S+ (\S+)", part, re.MULTILINE):
            if not allowed_version(soname, version):
                yield f"asks {soname} for {version}: {', '.join(symbols_of(program, version))}"
    known = {begin + name for begin, names in UNVERSIONED.values() for name in ["", *names.split()]}
    for line in run("objdump", "--dynamic-syms", program).splitlines():
        # ADDRESS FLAGS *UND* SIZE [(VERSION)] NAME, where a library has no versions "Base" or nothing. Weak ones (w) are for
        # tools that may be there.
        words = line.split()
        if "*UND*" not in words or words[-2].startswith("(") or "w" in words[1:words.index("*UND*")]:
            continue
        if words[-1] not in known:
            yield f"calls {words[-1]}, which is in no list of {pathlib.Path(__file__).name}"


def symbols_of(program, version):
    lines = run("objdump", "--dynamic-syms", program).splitlines()
    return sorted({line.split()[-1] for line in lines if f"({version})" in line})


def main(package):
    name = pathlib.Path(package).name
    wrong = [f"the package {text}" for text in wrong_requirements(run("rpm", "-qp", "--requires", package).splitlines())]
    programs = 0
    with tempfile.TemporaryDirectory() as folder:
        unpacked = subprocess.run(["rpm2cpio", package], check=True, capture_output=True).stdout
        subprocess.run(["cpio", "-idm", "--quiet"], input=unpacked, cwd=folder, check=True)
        for path in sorted(pathlib.Path(folder).rglob("*")):
            if path.is_file() and not path.is_symlink() and path.open("rb").read(4) == b"\x7fELF":
                programs += 1
                wrong += [f"{path.relative_to(folder)} {text}" for text in wrong_symbols(str(path))]
    if programs == 0:
        wrong.append("no program is in the package")
    for text in wrong:
        print(f"portable.py: {name}: {text}", file=sys.stderr)
    if not wrong:
        print(f"portable.py: {name}: {programs} programs ask for nothing beyond RHEL 9 and Fedora")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(max([main(package) for package in sys.argv[1:]]))
