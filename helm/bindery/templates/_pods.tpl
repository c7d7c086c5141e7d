{{/* What every pod has: the restricted Pod Security profile, and Bindery's configuration. */}}

{{- define "bindery.pod.security" -}}
automountServiceAccountToken: false
# Or a Service named bindery would put variables into every pod that Bindery refuses as unknown.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with .Values.podSecurity }}
  {{- if kindIs "float64" .runAsUser }}
  runAsUser: {{ int64 .runAsUser }}
  {{- end }}
  {{- if kindIs "float64" .runAsGroup }}
  runAsGroup: {{ int64 .runAsGroup }}
  {{- end }}
  {{- if kindIs "float64" .fsGroup }}
  fsGroup: {{ int64 .fsGroup }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "bindery.container.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Settings and secrets of one of Bindery's processes: (list $ $extraEnv). */}}
{{- define "bindery.container.env" -}}
{{- $ := first . -}}
envFrom:
  - configMapRef: {name: {{ include "bindery.fullname" $ }}}
env:
  {{- $secret := include "bindery.secret" $ }}
  {{- $keys := $.Values.secrets.keys }}
  - name: BINDERY_SECRET_KEY
    valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $keys.secretKey }}}}
  - name: BINDERY_AUTH_TOKEN
    valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $keys.authToken }}}}
  - name: BINDERY_JWT_SECRET
    valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $keys.jwtSecret }}}}
  - name: BINDERY_AUTH_TOKEN_OLD
    valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $keys.authTokenOld }}, optional: true}}
  - name: BINDERY_JWT_SECRET_OLD
    valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $keys.jwtSecretOld }}, optional: true}}
  - name: BINDERY_API_KEYS
    valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $keys.apiKeys }}, optional: true}}
  {{- with include "bindery.stores.env" $ | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with last . }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* (list $ $extraVolumeMounts) */}}
{{- define "bindery.container.mounts" -}}
{{- $ := first . -}}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if $.Values.settings.services }}
  - {name: services, mountPath: /etc/bindery/services, readOnly: true}
  {{- end }}
  {{- with include "bindery.stores.mounts" $ | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with last . }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* (list $ $extraVolumes) */}}
{{- define "bindery.pod.volumes" -}}
{{- $ := first . -}}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 16Mi}
  {{- if $.Values.settings.services }}
  - name: services
    configMap: {name: {{ include "bindery.fullname" $ }}-services}
  {{- end }}
  {{- with include "bindery.stores.volumes" $ | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with last . }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Labels of the pods of a component: (list $ "api"). No version of the chart: a new one alone restarts nothing. */}}
{{- define "bindery.pod.labels" -}}
{{- $ := first . -}}
app.kubernetes.io/part-of: bindery
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
{{ include "bindery.selector" . }}
{{- with $.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A change of configuration rolls the pods. */}}
{{- define "bindery.pod.checksums" -}}
checksum/settings: {{ toJson (list .Values.settings .Values.api.host .Values.api.port) | sha256sum }}
checksum/secrets: {{ include "bindery.pod.secretsChecksum" . }}
{{- end -}}

{{- define "bindery.pod.secretsChecksum" -}}
{{ toJson (list .Values.secrets .Values.redis.url .Values.queue.url) | sha256sum }}
{{- end -}}

{{/* Where pods go: (list $ $component $values). */}}
{{- define "bindery.pod.placement" -}}
{{- $ := first . -}}
{{- $component := index . 1 -}}
{{- $values := last . -}}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $.Values.topologySpread.keys }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: {{ $.Values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "bindery.selector" (list $ $component) | nindent 8 }}
    # Each roll-out by itself: the pods that it replaces do not count.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end -}}
