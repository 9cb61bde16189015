"""A request file is read as plain YAML 1.2, and what is wrong with it is said in one sentence."""

import io

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
        ("name: web", "template is missing."),
        (GOOD + "colour: red", "colour is not a field of a request."),
        (GOOD + "vcpus: 0", "vcpus must be at least 1 (it is 0)."),
        (GOOD + "vcpus: 2.5", "vcpus is not a whole number (it is '2.5')."),
        (
            GOOD + "memory: lots",
            "memory is not a size: write it like 512MiB or 2GiB (it is 'lots').",
        ),
        (
            'name: "a\\x1b[2J"\ntemplate: debian-12',
            "name has control characters in it (it is 'a\\x1b[2J').",
        ),
        ("name: xenlaunch:x\ntemplate: t", "name begins with 'xenlaunch:', which marks unfinished"),
        (GOOD + "limit_cpu_use: yes", "limit_cpu_use is neither true nor false (it is 'yes')."),
        (
            GOOD + "disks: [{floppy: a}]",
            "disks.0 is none of the kinds of disk: new, vdi, iso or cd.",
        ),
        (GOOD + "nics: [{network: g, mac: lots}]", "nics.0.mac is not a MAC address"),
        (GOOD + "name: web-2", "This is not YAML in line 3: 'name' is there twice."),
        (GOOD + "disks: [", "This is not YAML in line 3: expected the node content"),
        (GOOD + "a: b: c", "This is not YAML in line 3: mapping values are not allowed here."),
        (GOOD + "? [a]\n: b", "This is not YAML in line 3: a field's name is no plain text."),
        (GOOD + "---\n" + GOOD, "This is not YAML in line 3: but found another document."),
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

    assert refused.value.message.startswith("web.yaml: ")
    assert sentence in refused.value.message


def test_bytes_that_are_no_text_are_refused() -> None:
    file = io.TextIOWrapper(io.BytesIO(b"name: \xff\xfe"), encoding="utf-8")

    with pytest.raises(BadRequest, match="no text in UTF-8"):
        read_request(file, "web.yaml")
