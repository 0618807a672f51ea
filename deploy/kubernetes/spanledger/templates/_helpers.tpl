{{- define "spanledger.name" -}}
{{- if contains "spanledger" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-spanledger" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "spanledger.selector" -}}
app.kubernetes.io/name: spanledger
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "spanledger.labels" -}}
{{ include "spanledger.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}
