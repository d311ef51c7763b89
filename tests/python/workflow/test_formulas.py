"""Variables of R formulas, read without R: the same ones that R finds."""

from itemwise.workflow.formulas import CONSTANTS, formulas, variables

FORMULAS = [
    "s(Theta)",
    "s(theta, bs = 'cr', k = 10) + s (se, k=5)",
    "te(theta, se, k = c(5, 1e1), m = 2L, fx = TRUE) + I(se^2) + .5 * sub_score",
    "s(theta, by=se) + theta:linear + poly(theta, 2, raw = TRUE)",
    's(own.theta, xt = list(bs = "c s")) + each.sub_score',
    "s(theta, k = k0) + factor(theta == 'a') + .x1",
]
BY_R = "for (text in readLines(Sys.getenv('FORMULAS'))) cat(all.vars(str2lang(text)), '\\n')"


def test_variables_are_those_that_r_finds(rscript, tmp_path):
    (tmp_path / "formulas").write_text("\n".join(FORMULAS) + "\n")
    done = rscript(BY_R, FORMULAS=str(tmp_path / "formulas"))
    found = [line.split() for line in done.stdout.splitlines()]
    assert [variables(formula) for formula in FORMULAS] == found


def test_every_predictor_is_a_variable():
    for _, _, known in formulas():
        assert variables(" + ".join(f"s({name}, k = 5)" for name in known)) == known
        assert not CONSTANTS & set(known)
