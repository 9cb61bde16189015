"""The settings: what is taken, what is refused with which sentence, and that no password shows."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from workers.settings import POOLS, REDIS_URL, PoolSettings, Settings, load, read_pools, redis_url
from xenlaunch.errors import BadSettings

PASSWORD = "hunter2-is-secret"
URL = "redis://127.0.0.1:6379/0"
LAB = '[pools.lab]\naddresses = ["https://10.0.0.1"]\n'
GOOD = f'deployment = "lab-east"\n{LAB}password_file = "lab.password"\n'


@pytest.fixture
def pools_file(tmp_path: Path) -> Path:
    (tmp_path / "lab.password").write_text(f"{PASSWORD}\n")
    path = tmp_path / "pools.toml"
    path.write_text(GOOD)
    return path


def environment(path: Path) -> dict[str, str]:
    return {POOLS: str(path), REDIS_URL: URL}


def test_a_good_pools_file(pools_file: Path) -> None:
    settings = load(environment(pools_file))

    assert settings == Settings(
        URL,
        "lab-east",
        {
            "lab": PoolSettings(
                addresses=("https://10.0.0.1",), password_file=pools_file.parent / "lab.password"
            )
        },
    )


def test_owners_have_equal_weights_but_where_it_is_said(pools_file: Path) -> None:
    pools_file.write_text(f'{GOOD}[owners.team-a]\nweight = 3\n[owners."a b"]\nweight = 0.5\n')

    assert load(environment(pools_file)).weights == {"team-a": 3, "a b": 0.5}


@pytest.mark.parametrize("weight", ["0", "-1", "101", "nan", '"3"'])
def test_a_weight_that_is_none_is_refused(pools_file: Path, weight: str) -> None:
    pools_file.write_text(f"{GOOD}[owners.team-a]\nweight = {weight}\n")

    with pytest.raises(BadSettings, match=r"owners\.team-a\.weight: "):
        read_pools(pools_file)


def test_all_that_may_be_said_of_a_pool(pools_file: Path) -> None:
    pools_file.write_text(
        'deployment = "d"\n[pools.lab]\naddresses = ["http://a", "http://b"]\nusername = "ops"\n'
        'password_env = "LAB"\nallow_http = true\nca_file = "ca.pem"\npins = ["sha256:aa"]\n'
        'in_flight = 7\nsr_slots = 3\n[pools.lab.traffic]\nguest = "VMs"\n'
    )
    lab = read_pools(pools_file).pools["lab"]

    assert lab.model_dump() == {
        "addresses": ("http://a", "http://b"),
        "username": "ops",
        "password_file": None,
        "password_env": "LAB",
        "allow_http": True,
        "ca_file": pools_file.parent / "ca.pem",
        "pins": ("sha256:aa",),
        "in_flight": 7,
        "sr_slots": 3,
        "host_slots": 5,
        "copy_slots": 4,
        "traffic": {"guest": "VMs"},
    }


def test_a_path_that_is_absolute_stays_so(pools_file: Path) -> None:
    pools_file.write_text(GOOD.replace("lab.password", "/etc/lab.password"))

    assert read_pools(pools_file).pools["lab"].password_file == Path("/etc/lab.password")


def test_a_password_is_read_from_its_file_each_time(pools_file: Path) -> None:
    lab = read_pools(pools_file).pools["lab"]
    before = lab.password()
    (pools_file.parent / "lab.password").write_text("another")

    assert before == SecretStr(PASSWORD)
    assert lab.password() == SecretStr("another")


def test_a_password_may_have_blanks_at_its_ends(pools_file: Path) -> None:
    (pools_file.parent / "lab.password").write_text("  two words \r\n")

    assert read_pools(pools_file).pools["lab"].password() == SecretStr("  two words ")


def test_a_password_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = PoolSettings(addresses=("https://a",), password_env="LAB_PASSWORD")
    monkeypatch.setenv("LAB_PASSWORD", PASSWORD)
    found = lab.password()
    monkeypatch.delenv("LAB_PASSWORD")

    assert found == SecretStr(PASSWORD)
    with pytest.raises(BadSettings, match=r"^The variable LAB_PASSWORD holds no password\.$"):
        lab.password()


def test_a_password_file_that_is_not_there(pools_file: Path) -> None:
    lab = read_pools(pools_file).pools["lab"]
    (pools_file.parent / "lab.password").unlink()

    with pytest.raises(BadSettings) as refused:
        lab.password()
    assert refused.value.message == (
        f"The password file {lab.password_file} cannot be read: No such file or directory."
    )


def test_no_password_shows(pools_file: Path) -> None:
    settings = load(environment(pools_file))
    lab = settings.pools["lab"]
    shown = [
        form(one)
        for one in (settings, lab, lab.password(), load(environment(pools_file)))
        for form in (str, repr)
    ]

    assert [text for text in (*shown, lab.model_dump_json()) if PASSWORD in text] == []


BAD = {
    "no deployment": (LAB + 'password_env = "X"\n', "deployment: Field required"),
    "no pools": ('deployment = "d"\n', "pools: Field required"),
    "not one pool": (
        'deployment = "d"\n[pools]\n',
        "pools: Dictionary should have at least 1 item after validation, not 0",
    ),
    "pools that are no tables": (
        'deployment = "d"\npools = "lab"\n',
        "pools: Input should be a valid dictionary",
    ),
    "a pool that is no table": (
        'deployment = "d"\n[pools]\nlab = 1\n',
        "pools.lab: Input should be a valid dictionary or instance of PoolSettings",
    ),
    "an unknown field": (GOOD + "port = 1\n", "pools.lab.port: Extra inputs are not permitted"),
    "no password": (
        f'deployment = "d"\n{LAB}',
        "pools.lab: needs either password_file or password_env",
    ),
    "two passwords": (
        GOOD + 'password_env = "X"\n',
        "pools.lab: needs either password_file or password_env",
    ),
    "no address": (
        'deployment = "d"\n[pools.lab]\naddresses = []\npassword_env = "X"\n',
        "pools.lab.addresses: Tuple should have at least 1 item after validation, not 0",
    ),
    "a deployment with a blank": (
        GOOD.replace("lab-east", "lab east"),
        "deployment: String should match pattern '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$'",
    ),
    "a pool with a dot": (
        GOOD.replace("pools.lab", 'pools."a.b"'),
        "pools.a.b.[key]: String should match pattern '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$'",
    ),
    "no slots": (
        GOOD + "in_flight = 0\n",
        "pools.lab.in_flight: Input should be greater than or equal to 1",
    ),
}


@pytest.mark.parametrize(("text", "finding"), BAD.values(), ids=BAD)
def test_a_bad_pools_file_is_one_sentence(pools_file: Path, text: str, finding: str) -> None:
    pools_file.write_text(text)

    with pytest.raises(BadSettings) as refused:
        load(environment(pools_file))
    assert refused.value.message == f"The pools file {pools_file}: {finding}."


def test_a_password_in_the_pools_file_is_refused_and_not_repeated(pools_file: Path) -> None:
    pools_file.write_text(f'{GOOD}password = "{PASSWORD}"\n')

    with pytest.raises(BadSettings) as refused:
        load(environment(pools_file))
    assert "pools.lab.password: Extra inputs are not permitted" in refused.value.message
    assert PASSWORD not in repr(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_a_pools_file_that_is_not_toml(pools_file: Path) -> None:
    pools_file.write_text("deployment: lab\n")

    with pytest.raises(BadSettings, match=f"^The pools file {pools_file} is not TOML: .*line 1"):
        load(environment(pools_file))


def test_a_pools_file_that_is_no_text(pools_file: Path) -> None:
    pools_file.write_bytes(b"\xff\xfe")

    with pytest.raises(BadSettings, match="is not TOML"):
        load(environment(pools_file))


def test_a_pools_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"

    with pytest.raises(BadSettings) as refused:
        load(environment(path))
    assert refused.value.message == (
        f"The pools file {path} cannot be read: No such file or directory."
    )


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (POOLS, "Set XENLAUNCH_POOLS: the path of the pools file, pools.toml."),
        (
            REDIS_URL,
            "Set XENLAUNCH_REDIS_URL: the Redis to use, such as redis://127.0.0.1:6379/0.",
        ),
    ],
)
def test_a_variable_that_is_not_set(pools_file: Path, missing: str, sentence: str) -> None:
    for value in ({}, {missing: ""}):
        given = {
            name: text for name, text in environment(pools_file).items() if name != missing
        } | value
        with pytest.raises(BadSettings) as refused:
            load(given)

        assert refused.value.message == sentence


def test_the_environment_of_the_process_is_the_default(
    pools_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(pools_file).items():
        monkeypatch.setenv(name, value)

    assert load() == load(environment(pools_file))
    assert redis_url() == URL
    assert redis_url({}) is None


@pytest.mark.parametrize(("written", "seconds"), [("", 15.0), ("0", 0.0), ("2.5", 2.5)])
def test_how_long_a_worker_takes_to_end(pools_file: Path, written: str, seconds: float) -> None:
    settings = load({**environment(pools_file), "XENLAUNCH_STOP_SECONDS": written})

    assert settings.stop_seconds == seconds


@pytest.mark.parametrize("written", ["soon", "-1", "inf", "nan"])
def test_a_time_to_end_that_is_none_is_refused(pools_file: Path, written: str) -> None:
    with pytest.raises(BadSettings, match="XENLAUNCH_STOP_SECONDS is a number of seconds"):
        load({**environment(pools_file), "XENLAUNCH_STOP_SECONDS": written})
