"""The grammar of formulas, against numpy and against what it must refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.rank._formula import names, numbers, value, with_numbers

COLUMNS = {"like": np.array([0.5, 0.1, 0.9]), "watch": np.array([0.2, 0.8, 0.0])}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("like ** 0.7 * watch ** 0.3", COLUMNS["like"] ** 0.7 * COLUMNS["watch"] ** 0.3),
        ("like + 2 * watch", COLUMNS["like"] + 2 * COLUMNS["watch"]),
        ("(like + 2) * watch", (COLUMNS["like"] + 2) * COLUMNS["watch"]),
        ("-like / 4 - watch", -COLUMNS["like"] / 4 - COLUMNS["watch"]),
        ("2 ** -like", 2 ** -COLUMNS["like"]),
        ("log(like) + exp(watch)", np.log(COLUMNS["like"]) + np.exp(COLUMNS["watch"])),
        ("max(like, watch) - min(like, sqrt(watch))",
         np.maximum(COLUMNS["like"], COLUMNS["watch"]) - np.minimum(COLUMNS["like"], np.sqrt(COLUMNS["watch"]))),
        ("  3  ", np.full(3, 3.0)),
    ],
)  # fmt: skip
def test_is_arithmetic(text, expected):
    np.testing.assert_allclose(value(text, COLUMNS), expected, rtol=1e-12)


def test_the_names_it_reads():
    assert names("watch * log(like) + watch") == ["watch", "like"]
    assert names("3") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("like *", "not a formula at character 7: expected numbers, outputs, + - * / ** and log"),
        ("", "not a formula"),
        ("like\nwatch", "not a formula"),
        ("like.real", "'like.real': expected numbers, outputs"),
        ("__import__('os')", "no function '__import__'; there are log, exp"),
        ("log(like, watch)", "log takes 1, found 2"),
        ("min(like)", "min takes 2, found 1"),
        ("min(*like, watch)", "expected numbers"),
        ("like if watch else 2", "expected numbers"),
        ("like > watch", "expected numbers"),
        ("[like]", "expected numbers"),
        ("(lambda: 1)()", "expected numbers"),
        ("'like'", "expected numbers"),
        ("True", "expected numbers"),
        ("like @ watch", "expected numbers"),
        ("watch + ~like", "at character 9, '~like'"),
        ("like" + " ** watch" * 500, "too deep"),
        ("1" + "0" * 400 + " * like", "a number too large"),
    ],
)
def test_anything_else_is_refused_where_it_stands(text, said):
    with pytest.raises(InputError) as refused:
        names(text)
    assert said in str(refused.value)


def test_its_numbers_from_left_to_right():
    assert numbers("2 * like ** .5 - min(1e-3, watch) ** -0.25") == [2, 0.5, 1e-3, 0.25]
    assert numbers("like * watch") == []
    assert with_numbers("like ** 0.123456789 * watch", [0.123456789]) == "like ** 0.123456789 * watch"
    assert with_numbers("(2 * é ** .5\n - watch ** -0.25)", [3, 1, 4.5]) == "(3 * é ** 1\n - watch ** -4.5)"


def test_with_other_numbers_it_is_the_same_formula():
    for seed in range(200):
        with np.errstate(all="ignore"):
            text, _ = grown(np.random.default_rng(seed), 3)
            found = numbers(text)
            assert numbers(with_numbers(text, found)) == found
            np.testing.assert_array_equal(value(with_numbers(text, found), COLUMNS), value(text, COLUMNS))
        doubled = [2 * number for number in found]
        assert numbers(with_numbers(text, doubled)) == doubled
        assert names(with_numbers(text, doubled)) == names(text)


def test_a_name_that_is_no_output_is_told():
    with pytest.raises(InputError, match=r"at character 8, 'buy': no output 'buy'; there are like, watch"):
        value("like * buy", COLUMNS)


@given(st.text(max_size=30))
def test_no_text_runs_or_breaks_it(text):
    try:
        found = value(text, COLUMNS)
    except InputError:
        return
    assert found.shape == (3,)


OPERATORS = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power}


def grown(rng, depth):
    """(text, plain value) of a random formula, every part in brackets."""
    if depth == 0 or rng.random() < 0.2:
        if rng.random() < 0.5:
            number = float(rng.integers(0, 10)) / 2
            return f"{number}", number
        name = str(rng.choice(sorted(COLUMNS)))
        return name, COLUMNS[name]
    (left, a), (right, b) = grown(rng, depth - 1), grown(rng, depth - 1)
    forms = [(f"({left}) {sign} ({right})", lambda f=f: f(a, b)) for sign, f in OPERATORS.items()]
    forms += [(f"{f.__name__[:3]}({left}, {right})", lambda f=f: f(a, b)) for f in (np.minimum, np.maximum)]
    forms += [(f"{f.__name__}({left})", lambda f=f: f(a)) for f in (np.log, np.exp, np.sqrt)]
    forms.append((f"-({left})", lambda: -a))
    text, plain = forms[rng.integers(0, len(forms))]
    return text, plain()


def test_any_formula_is_what_a_plain_evaluation_makes_of_it():
    finite = 0
    for seed in range(400):
        with np.errstate(all="ignore"):
            text, plain = grown(np.random.default_rng(seed), 4)
        np.testing.assert_allclose(value(text, COLUMNS), np.broadcast_to(plain, 3), rtol=1e-12, err_msg=text)
        finite += int(np.isfinite(plain).all())
    assert finite > 100


@given(st.lists(st.tuples(st.sampled_from(["+", "-", "*", "/", "**"]), st.sampled_from(["like", "2", "watch"]))))
def test_without_brackets_operations_have_their_usual_order(parts):
    """** first, from the right; then * and /, then + and -, from the left."""
    text = "like" + "".join(f" {sign} {name}" for sign, name in parts)
    terms, signs = [COLUMNS["like"]], []
    for sign, name in parts:
        signs.append(sign)
        terms.append(COLUMNS.get(name, np.full(3, 2.0)))
    with np.errstate(all="ignore"):
        for level, order in ((("**",), -1), (("*", "/"), 1), (("+", "-"), 1)):
            while found := [at for at, sign in enumerate(signs) if sign in level]:
                at = found[0] if order > 0 else found[-1]
                terms[at : at + 2] = [OPERATORS[signs.pop(at)](terms[at], terms[at + 1])]
    np.testing.assert_allclose(value(text, COLUMNS), terms[0], rtol=1e-12)
