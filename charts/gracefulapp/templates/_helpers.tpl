{{/* The prefix of all names. The longest name that is limited to 63 characters is the prefix and "-controller-manager". Before Kubernetes 1.36 the name of a Service begins with a letter. */}}
{{- define "gracefulapp.fullname" -}}
{{- $name := .Release.Name | replace "." "-" }}
{{- if regexMatch "^[0-9]" $name }}
{{- $name = printf "%s-%s" .Chart.Name $name }}
{{- else if not (contains .Chart.Name $name) }}
{{- $name = printf "%s-%s" $name .Chart.Name }}
{{- end }}
{{- .Values.fullnameOverride | default $name | trunc 44 | trimSuffix "-" }}
{{- end }}

{{- define "gracefulapp.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (printf "%s-controller-manager" (include "gracefulapp.fullname" .)) }}
{{- end }}

{{/* The labels of every object. A selector contains none of them: Helm can then take over the Deployment of kustomize, whose selector is immutable. */}}
{{- define "gracefulapp.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The labels by which Services, PodDisruptionBudget, affinity and policies select the pods. */}}
{{- define "gracefulapp.selectorLabels" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name | quote }}
control-plane: controller-manager
{{- end }}

{{/* The reference of an image. Argument: the list of the root context and the image's values. */}}
{{- define "gracefulapp.image" -}}
{{- $image := index . 1 }}
{{- $version := printf ":%s" ($image.tag | default (index . 0).Chart.AppVersion) }}
{{- if $image.digest }}
{{- $version = printf "@%s" $image.digest }}
{{- end }}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}{{ $version }}
{{- end }}
