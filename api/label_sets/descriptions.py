"""Texts of the endpoints of label sets."""

from __future__ import annotations

LABEL_SET = """\
Labels that are words, `zh` and `en`, for models with an open vocabulary, are ready at once. With
`examples` of every label, and the `model` that is to look at them, a job looks at the pictures and
its end makes the set: `status` is `building`, then `ready`, or `failed` with an `error`. Pictures
that cannot be used are counted in `failed_examples`; a label none is left of fails the version.
Jobs name the set in `options.label_set`: `lbs_...`, or one version of it, `lbs_...@1`.
An `Idempotency-Key` does here what it does for jobs.
"""
LABEL_SET_EXAMPLE = {
    "name": "茶叶",
    "model": "dinov2-small",
    "labels": [
        {"zh": "龙井", "en": "longjing", "examples": [{"s3": "s3://bucket/tea/1.jpg"}]},
        {"zh": "铁观音", "en": "tieguanyin", "examples": [{"s3": "s3://bucket/tea/2.jpg"}]},
    ],
}
ABSORB = """\
For sets made of examples. Judgements that are not taken back become examples: a picture of
`wrong_label` of the label it was corrected to; one of `wrong_region` of its label, of which what
lies in the box counts. `added` counts them by label, `skipped` those left out by the reason; of
several on one picture the newest counts, with the box or the corrected label of the others where it
has none. Nothing changes until the proposal is accepted; then a
new version has the examples of the one before, and these. A proposal is kept for a while, 30 days
where the operator has set nothing else.
"""
