"""Where Argo 4.0 and 4.1 differ: the rows of a table in docs/conformance.md."""

from __future__ import annotations

__all__ = ["VERSIONS"]

_FIELDS = "`executorPlugins`, `podResources`, `resourceClaims`, `pendingTimeout`, `http.saveStreamViaFile`, "
_FIELDS += "`s3.addressingStyle`, `restartPolicyRules`, `fileKeyRef`, `podCertificate`"

# (what, 4.0.5, 4.1.2, how it was seen)
VERSIONS: tuple[tuple[str, str, str, str], ...] = (
    (_FIELDS, "unknown: refused by strict decoding", "fields", "`argo lint` of both; L116 with `--argo 4.0`"),
    (
        "a step's name with a tag that is not known before the run",
        "refused",
        "taken",
        "`argo lint` of both; L206 with `--argo 4.0`",
    ),
    (
        "a container of a set or a sidecar called `wait`, `supervisor` or `artifact-plugin-…`",
        "taken",
        "refused",
        "`argo lint` of both; no L274 with `--argo 4.0`",
    ),
    (
        "a parameter with both `value` and `valueFrom`",
        "`… specified. Choose one.`",
        "`… specified, choose one`",
        "`argo lint` of both: the words only",
    ),
    (
        "a key of `podMetadata` that the template's own `metadata` has, too",
        "the workflow's wins",
        "the template's wins",
        "a pod of 4.0.5; workflow/templateresolution/context.go of both",
    ),
    (
        "an output of a step that was skipped or omitted, where nothing stands in for it",
        "a tag waits for ever, an expression fails",
        "a default, `nil` in expressions, else an Error",
        "Argo's upgrading guide (changed in 4.0.7)",
    ),
    (
        "an output's `valueFrom.expression` that gives `nil`",
        "the text `<nil>`",
        "its default, else an Error",
        "Argo's upgrading guide (changed in 4.0.7)",
    ),
    (
        "a workflow that is retried within a second of its end",
        "may stay Running until the object changes",
        "goes on",
        "the cluster tests; controller.go of both. `tiphys retry` with a kubeconfig sees to it",
    ),
)
