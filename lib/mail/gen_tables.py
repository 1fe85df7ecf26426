#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Write charset_tables.h and fold_table.h beside this script, from Python's codecs and Unicode data."""
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
CHARSETS = {
    "iso-8859-1": ["latin1", "l1", "iso8859-1", "iso_8859-1"],
    "iso-8859-2": ["latin2", "l2", "iso8859-2"], "iso-8859-3": ["iso8859-3"],
    "iso-8859-4": ["iso8859-4"], "iso-8859-5": ["iso8859-5"], "iso-8859-6": ["iso8859-6"],
    "iso-8859-7": ["iso8859-7", "greek"], "iso-8859-8": ["iso8859-8", "iso-8859-8-i", "hebrew"],
    "iso-8859-9": ["iso8859-9", "latin5"], "iso-8859-10": ["iso8859-10", "latin6"],
    "iso-8859-11": ["tis-620", "tis620", "windows-874", "cp874"],
    "iso-8859-13": ["iso8859-13"], "iso-8859-14": ["iso8859-14"],
    "iso-8859-15": ["iso8859-15", "latin9", "latin-9"], "iso-8859-16": ["iso8859-16"],
    "windows-1250": ["cp1250"], "windows-1251": ["cp1251"], "windows-1252": ["cp1252"],
    "windows-1253": ["cp1253"], "windows-1254": ["cp1254"], "windows-1255": ["cp1255"],
    "windows-1256": ["cp1256"], "windows-1257": ["cp1257"], "windows-1258": ["cp1258"],
    "koi8-r": ["koi8"], "koi8-u": [], "ibm437": ["cp437"], "ibm850": ["cp850"],
    "ibm852": ["cp852"], "ibm866": ["cp866"], "macintosh": ["mac", "mac-roman", "x-mac-roman"],
    "x-mac-cyrillic": [],
}
PYTHON = {"macintosh": "mac_roman", "x-mac-cyrillic": "mac_cyrillic"}
BLOCK, TOP = 128, 0x20000


def rows(values, form, per_row):
    values = list(values)
    for i in range(0, len(values), per_row):
        yield "\t" + " ".join(form % v for v in values[i:i + per_row]) + "\n"


def high_half(name):
    for byte in range(128, 256):
        text = bytes([byte]).decode(PYTHON.get(name, name), errors="replace")
        yield ord(text) if len(text) == 1 else 0xFFFD


def fold(c):
    """Upper case by simple mapping; by way of lower case, so that letters with two upper-case forms get one."""
    if 0xD800 <= c < 0xE000:
        return c
    for step in (str.lower, str.upper):
        mapped = step(chr(c))
        if len(mapped) == 1 and ord(mapped) < TOP:
            c = ord(mapped)
    return c


def charset_tables():
    out = ["// SPDX-License-Identifier: ISC\n",
           "/* Made by gen_tables.py: the upper half of charsets of one byte a character. */\n/* clang-format off */\n#include <stdint.h>\n\n",
           f"static const uint16_t CHARSET_HIGH[{len(CHARSETS)}][128] = {{\n"]
    for name in CHARSETS:
        out.append(f"\t{{ /* {name} */\n")
        out += rows(high_half(name), "0x%04x,", 12)
        out.append("\t},\n")
    out.append("};\n\nstatic const struct {\n\tconst char *name;\n\tunsigned char index;\n} CHARSET_NAMES[] = {\n")
    for index, (name, aliases) in enumerate(CHARSETS.items()):
        for alias in [name] + aliases:
            out.append(f'\t{{ "{alias}", {index} }},\n')
    out.append("};\n")
    (HERE / "charset_tables.h").write_text("".join(out))


def fold_table():
    blocks, index, deltas = [], [], [0]
    for start in range(0, TOP, BLOCK):
        block = []
        for c in range(start, start + BLOCK):
            delta = fold(c) - c
            if delta not in deltas:
                deltas.append(delta)
            block.append(deltas.index(delta))
        if block not in blocks:
            blocks.append(block)
        index.append(blocks.index(block))
    assert len(deltas) < 256 and len(blocks) < 256
    out = ["// SPDX-License-Identifier: ISC\n",
           "/* Made by gen_tables.py: code point -> block -> what to add to reach its folded form. */\n/* clang-format off */\n#include <stdint.h>\n\n",
           f"enum {{ FOLD_BLOCK = {BLOCK}, FOLD_TOP = {TOP} }};\n\n",
           f"static const int32_t FOLD_DELTA[{len(deltas)}] = {{\n", *rows(deltas, "%d,", 12), "};\n\n",
           f"static const unsigned char FOLD_INDEX[{len(index)}] = {{\n", *rows(index, "%d,", 24), "};\n\n",
           f"static const unsigned char FOLD_BLOCKS[{len(blocks)}][{BLOCK}] = {{\n"]
    for block in blocks:
        out.append("\t{\n")
        out += rows(block, "%d,", 24)
        out.append("\t},\n")
    out.append("};\n")
    (HERE / "fold_table.h").write_text("".join(out))


charset_tables()
fold_table()
