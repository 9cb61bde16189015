"""A request file is read as plain YAML 1.2, and what is wrong with it is said in one sentence."""

import io
from pathlib import Path

import pytest

from xenlaunch.disks import Cd, ExistingDisk, Iso, NewDisk
from xenlaunch.errors import BadRequest
from xenlaunch.model import LaunchRequest
from xenlaunch.nics import Nic
from xenlaunch.request_file import MAX_SIZE, read_request


def read(text: str, **overrides: str | None) -> LaunchRequest:
    return read_request(io.StringIO(text), "web.yaml", overrides)


def test_everything_that_a_request_can_say_is_read() -> None:
    read_back = read("""
        name: web
        template: debian-12
        pool: lab
        vcpus: 2
        memory: 2GiB
        disks:
          - {new: 10GiB, sr: sr-1}
          - {vdi: 6a7c, mode: RO}
          - {iso: tools.iso}
          - {cd: empty}
        nics:
          - {network: guest, mac: "02:16:3e:00:00:01", mtu: 1500}
        host: host-1
        wait_for: address
        wait_seconds: 60
        on_failure: keep
        priority: 0
        owner: team-a
    """)

    expected = LaunchRequest(
        name="web",
        template="debian-12",
        pool="lab",
        vcpus=2,
        memory=2 << 30,
        disks=(
            NewDisk(new=10 << 30, sr="sr-1"),
            ExistingDisk(vdi="6a7c", mode="RO"),
            Iso(iso="tools.iso"),
            Cd(cd="empty"),
        ),
        nics=(Nic(network="guest", mac="02:16:3e:00:00:01", mtu=1500),),
        host="host-1",
        wait_for="address",
        wait_seconds=60,
        on_failure="keep",
        priority=0,
        owner="team-a",
    )
    assert read_back == expected


def test_words_that_yaml_1_1_takes_for_numbers_and_truths_stay_words() -> None:
    read_back = read("{name: yes, template: 007, nics: [{network: 1e3, mac: 52:54:00:12:34:56}]}")

    assert (read_back.name, read_back.template) == ("yes", "007")
    assert read_back.nics == (Nic(network="1e3", mac="52:54:00:12:34:56"),)


def test_what_is_said_beside_the_file_goes_before_it() -> None:
    read_back = read("{name: web, template: debian-12, pool: lab}", pool="other", name=None)

    assert (read_back.pool, read_back.name) == ("other", "web")


def test_a_name_said_beside_the_file_need_not_be_in_it() -> None:
    assert read("template: debian-12", name="web").name == "web"


GOOD = "name: web\ntemplate: debian-12\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "A request is a mapping of fields such as name and template; this is empty."),
        ("- web", "A request is a mapping of fields such as name and template; this is a list."),
        ("web", "A request is a mapping of fields such as name and template; this is text."),
        ("name: web", ":1: template is missing."),
        (GOOD + "colour: red", ":3: colour is not a field of a request."),
        (GOOD + "vcpus: 0", ":3: vcpus must be at least 1 (it is 0)."),
        (GOOD + "vcpus: 2.5", ":3: vcpus is not a whole number (it is 2.5)."),
        (
            GOOD + "memory: lots",
            ":3: memory is not a size: write it like 512MiB or 2GiB (it is 'lots').",
        ),
        (
            'name: "a\\x1b[2J"\ntemplate: debian-12',
            ":1: name has control characters in it (it is 'a\\x1b[2J').",
        ),
        (
            GOOD + 'description: |-\n  one\n  two\npv_args: "quiet\\b"',
            ":6: pv_args has the character U+0008 in it, which no XML can carry (it is 'quiet",
        ),
        (
            GOOD + 'guest:\n  xenstore_data:\n    a: good\n    b: "\\0hidden"',
            ":6: guest.xenstore_data.b has the character U+0000 in it, which no XML can carry.",
        ),
        (
            GOOD + 'guest: {user_data: "\\uD83D"}',
            ":3: guest.user_data has half a character in it",
        ),
        (
            GOOD + 'guest: {meta_data: {motto: ["\\uDC00"]}}',
            ":3: guest.meta_data has half a character in it",
        ),
        (
            GOOD + 'other_config: {folder: "\\uFFFE"}',
            ":3: other_config.folder has the character U+FFFE in it",
        ),
        (
            GOOD + 'disks: [{new: 1GiB, description: "\\x1b[2J"}]',
            ":3: disks.0.description has the character U+001B in it",
        ),
        (
            "name: xenlaunch:x\ntemplate: t",
            ":1: name begins with 'xenlaunch:', which marks unfinished",
        ),
        (GOOD + "limit_cpu_use: yes", ":3: limit_cpu_use is neither true nor false (it is 'yes')."),
        (
            GOOD + "disks: [{floppy: a}]",
            ":3: disks.0 is none of the kinds of disk: new, vdi, iso or cd.",
        ),
        (GOOD + "nics: [{network: g, mac: lots}]", ":3: nics.0.mac is not a MAC address"),
        (GOOD + "name: web-2", ":3: This is not YAML: 'name' is there twice."),
        (GOOD + "disks: [", ":3: This is not YAML: expected the node content"),
        (GOOD + "a: b: c", ":3: This is not YAML: mapping values are not allowed here."),
        (GOOD + "? [a]\n: b", ":3: This is not YAML: a field's name is no plain text."),
        (GOOD + "---\n" + GOOD, ":3: This is not YAML: but found another document."),
        (GOOD + "owner: !!python/name:os.system x", "could not determine a constructor"),
        (GOOD + "vcpus: !!int many", "This is not YAML: a number in it is none."),
        (GOOD + "vcpus: " + "9" * 5000, "This is not YAML: a number in it is none."),
        (GOOD + "owner: \x01", "This is not YAML: unacceptable character"),
        ("[" * 20_000, "This is nested too deeply for a request."),
        ("#" * (MAX_SIZE + 1), "This is too long for a request."),
    ],
)
def test_what_is_wrong_is_said_with_the_name_of_the_file(text: str, sentence: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(text)

    assert refused.value.message.startswith("web.yaml:")
    assert sentence in refused.value.message


def refusal(text: str, **overrides: str | None) -> list[str]:
    with pytest.raises(BadRequest) as refused:
        read(text, **overrides)
    return refused.value.message.split("\n")


def test_each_finding_has_its_line() -> None:
    mac, even = "'01:00:00:00:00:01'", "its first byte must be even"
    text = """# a comment
name: web
template: debian-12
memory:
  min: 1GiB
  max: lots
nics:
  - network: guest
  - network: guest
    mac: "01:00:00:00:00:01"
disks:
  - new: 1GiB
  - {new: 2GiB, colour: red}
"""
    assert refusal(text) == [
        "web.yaml:6: memory.max is not a size: write it like 512MiB or 2GiB (it is 'lots').",
        "web.yaml:13: disks.1.colour is not a field of a request.",
        f"web.yaml:10: nics.1.mac is a multicast address: {even} (it is {mac}).",
    ]


def test_what_is_wrong_between_fields_is_at_the_first_that_is_named() -> None:
    assert refusal(GOOD + "owner: me\npin: true") == [
        "web.yaml:4: request has pin, but no host to pin to."
    ]
    assert refusal(GOOD + "disks: [{cd: empty, device: 3},\n  {new: 1GiB, device: 3}]") == [
        "web.yaml:3: request gives two disks the same device."
    ]


def test_json_is_yaml() -> None:
    assert refusal('{"name": "web",\n "template": "t",\n "vcpus": 0}') == [
        "web.yaml:3: vcpus must be at least 1 (it is 0)."
    ]
    assert read('{"name": "web", "template": "t", "vcpus": 2}').vcpus == 2


def test_what_is_said_beside_the_file_has_no_line() -> None:
    assert refusal(GOOD, name="xenlaunch:x")[0].startswith("web.yaml: name begins with")


def test_bytes_that_are_no_text_are_refused() -> None:
    file = io.TextIOWrapper(io.BytesIO(b"name: \xff\xfe"), encoding="utf-8")

    with pytest.raises(BadRequest, match="no text in UTF-8"):
        read_request(file, "web.yaml")


# Files that a request names for its guest


def read_beside(folder: Path, guest: str) -> LaunchRequest:
    text = f"name: web\ntemplate: debian-12\nguest: {guest}\n"
    return read_request(io.StringIO(text), str(folder / "web.yaml"))


def test_what_the_guest_is_told_may_stand_in_files_beside_the_request(tmp_path: Path) -> None:
    (tmp_path / "user-data").write_bytes("#cloud-config\r\nname: Łódź\n".encode())
    (tmp_path / "net.yaml").write_text("version: 2\n")
    request = read_beside(
        tmp_path, f"{{user_data_file: user-data, network_config_file: {tmp_path}/net.yaml}}"
    )

    assert request.guest is not None
    assert request.guest.user_data == "#cloud-config\r\nname: Łódź\n"
    assert request.guest.network_config == "version: 2\n"


@pytest.mark.parametrize(
    ("guest", "sentence"),
    [
        ("{user_data_file: none}", "guest.user_data_file: none: no such file or directory."),
        ("{user_data_file: 5}", "guest.user_data_file is no path of a file."),
        ("{user_data_file: .}", "guest.user_data_file: .: is a directory."),
        ("{user_data_file: binary}", "guest.user_data_file: binary is no text in UTF-8."),
        ("{user_data_file: long}", "guest.user_data_file: long is longer than 65536 characters."),
        (
            "{user_data_file: long, user_data: x}",
            "guest has both user_data and user_data_file: give one of them.",
        ),
        ("{meta_data_file: x}", "guest.meta_data_file is not a field of a request."),
    ],
)
def test_a_file_that_cannot_be_told_is_said(tmp_path: Path, guest: str, sentence: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "long").write_text("x" * 65_537)

    with pytest.raises(BadRequest) as bad:
        read_beside(tmp_path, guest)
    assert bad.value.message == f"{tmp_path}/web.yaml:3: {sentence}"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1.5", 1.5),
        ("-.5", -0.5),
        ("2.", 2.0),
        ("0x1f", 31),
        ("12", 12),
        ("1e3", "1e3"),
        ("10.1.2.3", "10.1.2.3"),
        (".inf", ".inf"),
        ("0o17", "0o17"),
        ("007", "007"),
        ("'1.5'", "1.5"),
        (f"{'9' * 400}.0", f"{'9' * 400}.0"),
    ],
)
def test_what_a_guest_is_told_has_its_numbers(written: str, value: object) -> None:
    given = read(f"name: web\ntemplate: t\nguest: {{user_data: {{a: {written}}}}}")

    assert given.guest is not None
    assert given.guest.user_data == {"a": value}
