{{- /* The page docs/api.md: a section for each object of ours, in the order and with the path that it has in YAML. Kubernetes' own types have
       only their names: without a network no test can check a link to their reference. */ -}}

{{- define "gvList" -}}
# API reference
<!-- from api/ and hack/api-docs: make generate -->
{{ range $gv := . }}{{ range .SortedKinds }}
{{- template "object" dict "ours" $gv.Types "type" ($gv.TypeForKind .) "path" "" }}
{{- end }}{{ end }}
{{- end }}

{{- define "object" }}
{{- $ours := .ours }}{{ $path := .path }}
## {{ $path | default .type.Name }}
{{ .type.Doc }}
{{ with .type.GVK }}
`kubectl explain gapp` says the same, and the fields of Kubernetes' own types too: `kubectl explain gapp.spec.template.spec`. [The timing model](timing-model.md)
shows how the operator derives the numbers, [refusals](refusals.md) lists the rejected values with their corrections, and [status](status.md) explains the
conditions.
{{ end }}
| field | type | description |
|---|---|---|
{{ with .type.GVK -}}
| `apiVersion` | string, required | `{{ .Group }}/{{ .Version }}` |
| `kind` | string, required | `{{ .Kind }}` |
{{ end -}}
{{ range .type.Members -}}
| `{{ .Name }}` | {{ template "type" dict "field" . "ours" $ours "path" $path }} | {{ template "words" . }} |
{{ end -}}
{{ with index .type.Markers "kubebuilder:validation:XValidation" }}
The CRD rejects other values:
{{ range . -}}
- {{ .Message }}
{{ end -}}
{{ end -}}
{{ with index .type.Markers "kubebuilder:printcolumn" }}
| column of `kubectl get gapp` | field | description |
|---|---|---|
{{ range . -}}
| {{ upper .Name }}{{ if .Priority }} (`-o wide`){{ end }} | `{{ .JSONPath }}` | {{ .Description }} |
{{ end -}}
{{ end -}}
{{ range .type.Members }}{{ $name := .Name }}{{ with index $ours .Type.Name }}{{ if .Members -}}
{{ template "object" dict "ours" $ours "type" . "path" (list $path $name | compact | join ".") -}}
{{ end }}{{ end }}{{ end -}}
{{ end -}}

{{- define "type" -}}
{{ $type := .field.Type -}}
{{ $own := index .ours $type.Name -}}
{{ if and $own (not $own.Members) -}}
string
{{- else if $own -}}
[{{ $type.Name }}](#{{ list .path .field.Name | join "" | replace "." "" | lower }})
{{- else if $type.IsBasic -}}
{{ if hasPrefix "map[" $type.Name }}map of strings{{ else }}{{ markdownRenderType $type }}{{ end }}
{{- else -}}
{{ if hasPrefix "[]" $type.UID }}list of {{ end }}Kubernetes' {{ $type.Name }}
{{- end -}}
{{ if has "Required: {}" .field.Validation }}, required{{ end -}}
{{ with .field.Default }}, default {{ . }}{{ end -}}
{{ range .field.Validation }}{{ if regexMatch "^(Required|Optional): " . | not -}}
, {{ . | replace "Minimum:" "at least" | replace "MinProperties:" "at least" | replace "Enum:" "one of" }}
{{- end }}{{ end -}}
{{- end -}}

{{- define "words" -}}
{{ if eq .Type.Name "ObjectMeta" -}}
As of any object; the owned objects have the same name. The annotation `apps.gracefulapp.dev/adopt: "true"` lets the app [adopt](how-to/adopt.md) objects without an owner; `apps.gracefulapp.dev/derivation: "N"` asks for a [derivation version](decisions/derivation-versions.md); `apps.gracefulapp.dev/drain-image` names [the image of the drain sidecar](how-to/any-server.md#update-the-sidecar).
{{- else -}}
{{ .Doc | replace "\n\n" "<br>" | replace "\n" " " | replace "|" "\\|" }}
{{- end -}}
{{- end -}}
