"""Text that comes faster than it is read: bounded, in order, and what is lost is said."""

from hypothesis import given
from hypothesis import strategies as st

from rcdbg.tui.mailbox import MAX_CHARACTERS, Mailbox


@given(st.lists(st.text(min_size=1, max_size=50), max_size=50))
def test_little_text_comes_out_as_it_went_in(pieces: list[str]) -> None:
    box = Mailbox()
    assert [box.put(piece) for piece in pieces] == [i == 0 for i in range(len(pieces))]
    assert box.take() == "".join(pieces)
    assert box.take() == ""
    assert box.put("again")


@given(st.lists(st.integers(min_value=1, max_value=3 * MAX_CHARACTERS), min_size=1, max_size=8))
def test_of_much_text_the_end_is_kept_and_the_rest_is_counted(sizes: list[int]) -> None:
    box = Mailbox()
    for number, size in enumerate(sizes):
        box.put(chr(ord("a") + number) * size)
    text = box.take()
    whole = "".join(chr(ord("a") + n) * size for n, size in enumerate(sizes))
    if len(whole) <= MAX_CHARACTERS:
        assert text == whole
        return
    head, kept = text.lstrip("\n").split("\n", 1)
    assert len(kept) <= MAX_CHARACTERS
    assert whole.endswith(kept)
    assert head == f"[{len(whole) - len(kept):,} characters left out: they came too fast]"
