"""Files and folders by descriptor: entered one by one, and never through a symlink."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Self

from modelvault.errors import Code, Untrusted

__all__ = [
    "CHUNK",
    "FILE",
    "FOLDER",
    "NEW",
    "OTHERS",
    "Open",
    "allow",
    "alone",
    "copy",
    "enter",
    "enter_root",
    "inhabited",
    "is_odd",
    "listed",
    "open_in",
    "parents",
    "planted",
    "readers",
    "rename",
    "status",
    "write",
    "write_back",
]

CHUNK = 1024 * 1024
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY  # a pipe must not hang
NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OTHERS = stat.S_IWGRP | stat.S_IWOTH

_SHARED = stat.S_IRWXG | stat.S_IRWXO | stat.S_ISVTX
_NO_MODES = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class Open(int):
    """A descriptor, closed by `with`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what was to be durable has been flushed
            os.close(self)


def status(name: str, folder: int) -> os.stat_result | None:
    """What is known of `name` in `folder`, itself and not what it links to; None if there is no such thing."""
    with suppress(FileNotFoundError):
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    return None


def open_in(name: str, flags: int, folder: int) -> Open:
    """`name` in `folder`; `Untrusted` if a symlink or the like stands there."""
    try:
        return Open(os.open(name, flags, dir_fd=folder))
    except FileNotFoundError:
        raise
    except OSError:
        if is_odd(name, folder):
            raise planted(name) from None
        raise


def is_odd(name: str, folder: int) -> bool:
    """It is neither a file nor a folder."""
    found = status(name, folder)
    return found is not None and stat.S_IFMT(found.st_mode) not in (stat.S_IFREG, stat.S_IFDIR)


def enter(name: str, folder: int, *, make: bool) -> Open:
    """The folder `name` of `folder`; a new one is as open to group and others as the one above it, umask or not."""
    try:
        return open_in(name, FOLDER, folder)
    except FileNotFoundError:
        if not make:
            raise
    mode = stat.S_IRWXU | os.fstat(folder).st_mode & _SHARED
    with suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=folder)
        with open_in(name, FOLDER, folder) as made:
            allow(made, mode)
    os.fsync(folder)
    return open_in(name, FOLDER, folder)


def enter_root(path: str, *, make: bool) -> Open:
    """The folder at `path`, and those above it, made if they are missing, as open as the umask says."""
    try:
        return Open(os.open(path, FOLDER))
    except FileNotFoundError:
        if not make:
            raise
    name = os.path.basename(path)
    with enter_root(os.path.dirname(path), make=True) as above:
        with suppress(FileExistsError):
            os.mkdir(name, 0o777, dir_fd=above)
        os.fsync(above)
        return open_in(name, FOLDER, above)


def allow(made: int, mode: int) -> None:
    """Give what this call has made all of `mode`: the umask of one process must not shut out the others."""
    found = os.fstat(made).st_mode
    mode |= found & stat.S_ISGID
    if stat.S_IMODE(found) != mode:
        try:
            os.fchmod(made, mode)
        except OSError as error:
            if error.errno not in _NO_MODES:  # where modes are fixed, they are as they are
                raise


def alone(path: str, found: os.stat_result, user: int) -> bool:
    """The group may write, and is `user` alone: many systems give each user such a group, and a umask of 002."""
    if found.st_mode & stat.S_IWOTH or not _is_own_group(user, found.st_gid):
        return False
    return sys.platform != "linux" or "system.posix_acl_access" not in os.listxattr(path, follow_symlinks=False)


@lru_cache
def _is_own_group(user: int, group: int) -> bool:
    """It is the primary group of the user, has the same name, and no other member."""
    import grp
    import pwd

    try:
        account, found = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    return account.pw_gid == group and account.pw_name == found.gr_name and {account.pw_name}.issuperset(found.gr_mem)


def planted(name: str) -> Untrusted:
    """The error for what has no business in a vault."""
    hint = "a vault holds plain files and folders only: find out who put it there"
    return Untrusted(f"{name} is a symlink or another special file", code=Code.UNSAFE_FOLDER, hint=hint)


def write(file: int, data: bytes) -> int:
    """Write all of `data`; how much that was."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
    return len(data)


def readers(folder: int) -> int:
    """The mode of a file that is as open as `folder` is, for reading alone."""
    return stat.S_IRUSR | os.fstat(folder).st_mode & (stat.S_IRGRP | stat.S_IROTH)


def write_back(file: int, begin: int, length: int) -> None:
    """Have the disk begin to write a range, if the system has `sync_file_range(2)`: a hint, and nothing is durable by it."""
    import ctypes

    write = 2  # SYNC_FILE_RANGE_WRITE
    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is not None:
        call(file, ctypes.c_int64(begin), ctypes.c_int64(length), write)


def rename(staged: str, source: int, name: str, folder: int) -> None:
    """Give `staged` in `source` the name `name` in `folder`, if that is free: `renameat2(2)` with `RENAME_NOREPLACE`."""
    import ctypes

    noreplace = 1
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None or call(source, staged.encode(), folder, name.encode(), noreplace):
        code = ctypes.get_errno() if call else errno.ENOSYS
        raise OSError(code, os.strerror(code))


def copy(source: int, name: str, folder: int) -> None:
    """Write the bytes of `source` under the new name `name`, as open as it is, and flushed."""
    mode = stat.S_IMODE(os.fstat(source).st_mode)
    with Open(os.open(name, NEW, mode, dir_fd=folder)) as target:
        try:
            allow(target, mode)
            at = 0
            while chunk := os.pread(source, CHUNK, at):
                at += write(target, chunk)
        except BaseException:
            os.unlink(name, dir_fd=folder)  # ours, and only a part
            raise
        os.fsync(target)


def listed(folder: int, start: str = "") -> Iterator[str]:
    """The files and folders that begin with `start`; folders end with a slash, so that they sort as their keys do."""
    with os.scandir(folder) as found:
        for each in found:
            name = each.name
            if name.startswith(start) and name[0] != ".":
                if each.is_file(follow_symlinks=False):
                    yield name
                elif each.is_dir(follow_symlinks=False):
                    yield name + "/"


def inhabited(name: str, folder: int) -> bool:
    """An object is somewhere below the folder `name`."""
    try:
        with open_in(name, FOLDER, folder) as here:
            return any(not below.endswith("/") or inhabited(below[:-1], here) for below in listed(here))
    except PermissionError:
        return True  # not ours to see into, but there


def parents(path: str) -> Iterator[str]:
    """The folders above `path`, upwards."""
    while path != (path := os.path.dirname(path)):
        yield path
