"""Every panel has its place at every size, and no two share one."""

from hypothesis import given
from hypothesis import strategies as st

from rcdbg.tui.widgets.arrangement import NARROW_WIDTH, regions
from rcdbg.tui.widgets.contents import PANELS

WIDTHS = st.integers(min_value=NARROW_WIDTH, max_value=400)
HEIGHTS = st.integers(min_value=22, max_value=150)
FOCUS = st.none() | st.sampled_from(PANELS)


@given(WIDTHS, HEIGHTS, FOCUS)
def test_the_panels_fill_the_room_without_overlap(
    width: int, height: int, focused: str | None
) -> None:
    places = regions(width, height, focused)
    assert set(places) == set(PANELS)
    assert sum(place.area for place in places.values()) == width * height
    for name, place in places.items():
        assert place.height >= 3
        assert 0 <= place.x < place.right <= width
        assert 0 <= place.y < place.bottom <= height
        assert not any(place.overlaps(other) for n, other in places.items() if n != name)


@given(st.integers(min_value=1, max_value=NARROW_WIDTH - 1), st.integers(1, 60), FOCUS)
def test_a_narrow_terminal_has_them_one_below_the_other(
    width: int, height: int, focused: str | None
) -> None:
    places = regions(width, height, focused)
    assert [places[name].y for name in PANELS] == sorted(places[name].y for name in PANELS)
    assert all(place.width == width and place.height >= 1 for place in places.values())


@given(WIDTHS, HEIGHTS, st.sampled_from(PANELS))
def test_a_zoomed_panel_has_all_the_room(width: int, height: int, zoomed: str) -> None:
    assert regions(width, height, None, zoomed).keys() == {zoomed}


def test_the_focused_panel_grows_where_it_is_tight_only() -> None:
    assert regions(100, 28, "csr")["csr"].height > regions(100, 28)["csr"].height
    assert regions(160, 46, "csr") == regions(160, 46)


def test_a_short_terminal_keeps_every_panel() -> None:
    assert sum(p.height for p in regions(100, 12).values()) == 24
