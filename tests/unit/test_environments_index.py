from datetime import UTC, datetime

import pytest
from fake_index import FakeIndex

from runner.environments.index import catalog, connection
from runner.environments.index.catalog import Catalog
from runner.environments.index.connection import IndexAddress, index_address, network_settings, without_addresses
from runner.environments.times import UNDATED
from runner.errors import MachineError, UsageError


@pytest.fixture
def fake(tmp_path, monkeypatch):
    served = FakeIndex()
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", served.url)
    monkeypatch.delenv("UV_OFFLINE", raising=False)
    monkeypatch.setattr(connection, "ATTEMPTS", 1)
    yield served
    served.stop()


@pytest.fixture
def no_configuration(tmp_path, monkeypatch):
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def written(folder):
    return "\n".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def test_a_release_comes_with_its_files_and_their_upload_times(fake):
    fake.add_wheel("thing", "1.10", "2019-02-26", requires_python=">=3.6")
    fake.add("thing-1.9.tar.gz", b"source", "2019-01-01", yanked=True)
    project = Catalog().project("Thing")
    assert [str(release.version) for release in project.releases] == ["1.9", "1.10"]
    assert [release.yanked for release in project.releases] == [True, False]
    (file,) = project.release("1.10.0").files
    assert file.filename == "thing-1.10-py3-none-any.whl"
    assert file.uploaded == datetime(2019, 2, 26, 12, tzinfo=UTC)
    assert file.requires_python == ">=3.6"
    assert file.url == f"http://{fake.host}/files/{file.filename}"


def test_versions_are_named_oldest_first_and_an_unknown_package_has_none(fake):
    for version in ("1.10", "1.2", "1.9rc1"):
        fake.add_wheel("thing", version, "2019-02-26")
    assert Catalog().versions("thing") == ("1.2", "1.9rc1", "1.10")
    assert Catalog().versions("nothing") is None


def test_a_page_is_not_asked_for_again_within_ten_minutes(fake):
    fake.add_wheel("thing", "1.0", "2019-02-26")
    Catalog().project("thing")
    Catalog().project("thing")
    assert fake.asked == ["/simple/thing/"]


def test_a_page_that_did_not_change_is_kept_and_a_changed_one_is_taken(fake, monkeypatch):
    monkeypatch.setattr(catalog, "FRESH_S", 0.0)
    fake.add_wheel("thing", "1.0", "2019-02-26")
    first = Catalog().project("thing")
    assert Catalog().project("thing") == first
    fake.add_wheel("thing", "1.1", "2019-03-26")
    assert Catalog().versions("thing") == ("1.0", "1.1")
    assert len(fake.asked) == 3


def test_an_index_that_is_silent_is_answered_for_by_the_cache(fake, monkeypatch):
    monkeypatch.setattr(catalog, "FRESH_S", 0.0)
    fake.add_wheel("thing", "1.0", "2019-02-26")
    fake.add_wheel("other", "1.0", "2019-02-26")
    for name in ("thing", "other"):
        Catalog().project(name)
    fake.broken = True
    silent = Catalog()
    assert silent.versions("thing") == silent.versions("other") == ("1.0",)
    assert len(fake.asked) == 3, "the second question must not wait for a dead index once more"


def test_a_damaged_cache_entry_is_fetched_again(fake, tmp_path):
    fake.add_wheel("thing", "1.0", "2019-02-26")
    Catalog().project("thing")
    (entry,) = tmp_path.rglob("thing.json")
    entry.write_bytes(entry.read_bytes().replace(b'"size"', b'"sice"'))
    assert Catalog().versions("thing") == ("1.0",)
    assert len(fake.asked) == 2
    entry.write_bytes(b"")
    assert Catalog().versions("thing") == ("1.0",)


def test_an_unreachable_index_says_what_to_check(fake):
    fake.broken = True
    with pytest.raises(
        MachineError, match=r"package index at 127\.0\.0\.1 does not answer .*UV_DEFAULT_INDEX"
    ) as error:
        Catalog().project("thing")
    assert "HTTPS_PROXY" in str(error.value)


def test_offline_mode_asks_nothing_and_says_so(fake, monkeypatch):
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(MachineError, match="network is switched off by UV_OFFLINE"):
        Catalog().project("thing")
    assert fake.asked == []


@pytest.mark.parametrize("trouble", ["html", "times"])
def test_an_index_without_upload_times_gets_a_message_with_a_way_on(fake, trouble):
    fake.add_wheel("thing", "1.0", "2019-02-26")
    setattr(fake, trouble, trouble == "html")
    with pytest.raises(UsageError, match=r"when the files of thing were uploaded .* Name an index that does") as error:
        Catalog().project("thing")
    assert "`as_of: none` for all packages, `as_of: {thing: none}` for this one" in str(error.value)


@pytest.mark.parametrize("trouble", ["html", "times"])
def test_a_page_without_upload_times_is_taken_for_a_package_that_needs_none(fake, trouble):
    fake.add_wheel("thing", "1.0", "2019-02-26", requires_python=">=3.6")
    fake.add_wheel("thing", "1.1", "2019-02-26", yanked=True)
    fake.add_wheel("other", "1.0", "2019-02-26")
    setattr(fake, trouble, trouble == "html")
    catalog = Catalog(undated=lambda name: name == "thing")
    project = catalog.project("thing")
    assert [release.yanked for release in project.releases] == [False, True]
    (file,) = project.release("1.0").files
    page = fake.pages["thing"][0]
    assert (file.filename, file.requires_python, file.uploaded) == (page["filename"], ">=3.6", UNDATED)
    assert (file.sha256, file.url) == (page["hashes"]["sha256"], f"http://{fake.host}/files/{page['filename']}")
    with pytest.raises(UsageError, match="the files of other"):
        catalog.project("other")


def test_what_a_cached_page_may_lack_is_for_each_catalog_to_say(fake):
    fake.add_wheel("thing", "1.0", "2019-02-26")
    fake.times = False
    assert Catalog(undated=lambda _: True).versions("thing") == ("1.0",)
    with pytest.raises(UsageError, match="the files of thing"):
        Catalog().project("thing")
    assert fake.asked == ["/simple/thing/"]


def test_a_page_is_asked_for_again_where_somebody_saw_a_newer_one(fake):
    fake.add_wheel("thing", "1.0", "2019-02-26")
    catalog = Catalog()
    catalog.project("thing")
    fake.add_wheel("thing", "1.1", "2019-02-26")
    assert catalog.versions("thing") == ("1.0",)
    catalog.renewed("thing")
    assert catalog.versions("thing") == ("1.0", "1.1")


def test_pages_are_read_ahead_at_the_same_time(fake):
    names = [f"thing{number}" for number in range(20)]
    for name in names:
        fake.add_wheel(name, "1.0", "2019-02-26")
    catalog = Catalog()
    catalog.read_ahead(names)
    asked = len(fake.asked)
    assert asked == len(names)
    assert [catalog.versions(name) for name in names] == [("1.0",)] * len(names)
    assert len(fake.asked) == asked


def test_credentials_are_used_and_neither_cached_nor_shown(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://user:s3cret%40@{fake.host}/simple")
    fake.add_wheel("thing", "1.0", "2019-02-26")
    catalog = Catalog()
    catalog.project("thing")
    assert fake.credentials == "Basic dXNlcjpzM2NyZXRA"
    assert "s3cret" not in written(tmp_path)
    assert "s3cret" not in repr(catalog.connection.address)
    settings = network_settings()
    assert settings["UV_DEFAULT_INDEX"] == f"http://user:s3cret%40@{fake.host}/simple"
    assert (settings["UV_INDEX_RUNNER_USERNAME"], settings["UV_INDEX_RUNNER_PASSWORD"]) == ("user", "s3cret@")
    fake.broken = True
    with pytest.raises(MachineError) as error:
        catalog.project("other")
    assert "s3cret" not in str(error.value)


def test_credentials_go_to_the_host_of_the_index_only(fake, monkeypatch):
    other = FakeIndex()
    try:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://user:s3cret@{fake.host}/simple")
        other.contents["x.whl"] = b"wheel"
        Catalog().connection.download(f"http://{other.host}/files/x.whl", list)
        assert other.credentials is None
    finally:
        other.stop()


def test_the_named_form_of_uv_brings_its_credentials_in_the_environment(monkeypatch):
    monkeypatch.setenv("UV_INDEX_MY_OWN_USERNAME", "user")
    monkeypatch.setenv("UV_INDEX_MY_OWN_PASSWORD", "s3cret")
    address = IndexAddress.parse("my-own=https://catalog.example/simple")
    assert (address.url, address.user, address.password) == ("https://catalog.example/simple/", "user", "s3cret")


def test_uv_wins_over_pip_and_a_variable_over_a_file(no_configuration, tmp_path, monkeypatch):
    file = tmp_path / "config" / "pip" / "pip.conf"
    file.parent.mkdir(parents=True)
    file.write_text("[global]\nindex-url = https://file.example/simple\n")
    assert index_address().host == "file.example"
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.example/simple")
    assert index_address().host == "pip.example"
    monkeypatch.setenv("UV_INDEX_URL", "https://old-uv.example/simple")
    assert index_address().host == "old-uv.example"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example/simple")
    assert index_address().host == "uv.example"


def test_pips_own_variable_for_no_file_is_heard(no_configuration, tmp_path, monkeypatch):
    file = tmp_path / ".pip" / "pip.conf"
    file.parent.mkdir()
    file.write_text("[install]\nindex-url = https://file.example/simple\n")
    assert index_address().host == "file.example"
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert index_address().host != "file.example"


def test_without_configuration_it_is_the_index_that_uv_itself_takes(no_configuration):
    assert index_address().url.endswith("/simple/")


def test_a_folder_of_files_is_refused_as_an_index(monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "file:///srv/wheels")
    with pytest.raises(UsageError, match="not an http or https address"):
        index_address()


def test_addresses_are_taken_out_of_other_programs_words():
    text = "failed to fetch `https://user:token@catalog.example/simple/x/` (see file:///tmp/x)"
    assert without_addresses(text) == "failed to fetch `<address>` (see <address>)"


def test_a_page_that_is_no_page_is_refused(fake):
    fake.pages["thing"] = [{"filename": "thing-1.0.tar.gz"}]
    with pytest.raises(MachineError, match="not what PEP 691 describes"):
        Catalog().project("thing")


def test_files_with_paths_for_names_are_left_out(fake):
    fake.add_wheel("thing", "1.0", "2019-02-26")
    fake.pages["thing"].append(fake.pages["thing"][0] | {"filename": "../thing-2.0-py3-none-any.whl"})
    assert Catalog().versions("thing") == ("1.0",)
