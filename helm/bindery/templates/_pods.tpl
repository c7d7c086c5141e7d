{{/* What every pod has: the restricted Pod Security profile, and Bindery's configuration. */}}

{{- define "bindery.pod.security" -}}
automountServiceAccountToken: false
# Or a Service named bindery would put variables into every pod that Bindery refuses as unknown.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with .Values.podSecurity }}
  {{- if not (kindIs "invalid" .runAsUser) }}
  runAsUser: {{ int64 .runAsUser }}
  {{- end }}
  {{- if not (kindIs "invalid" .runAsGroup) }}
  runAsGroup: {{ int64 .runAsGroup }}
  {{- end }}
  {{- if not (kindIs "invalid" .fsGroup) }}
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

{{/* Settings of one of Bindery's processes: (list $ $extraEnv). Its secrets are files, but for passwords within URLs. */}}
{{- define "bindery.container.env" -}}
{{- $ := first . -}}
envFrom:
  - configMapRef: {name: {{ include "bindery.fullname" $ }}}
env:
  - {name: BINDERY_SECRETS_DIR, value: /run/secrets/bindery}
  {{- with include "bindery.stores.env" $ | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with last . }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Probes of API or worker: they ask its own loop, on the port that nobody else calls. */}}
{{- define "bindery.container.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: metrics}
  {{- toYaml .startupProbe | nindent 2 }}
livenessProbe:
  httpGet: {path: /livez, port: metrics}
  {{- toYaml .livenessProbe | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  {{- toYaml .readinessProbe | nindent 2 }}
{{- end -}}

{{/* (list $ $extraVolumeMounts) */}}
{{- define "bindery.container.mounts" -}}
{{- $ := first . -}}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: secrets, mountPath: /run/secrets/bindery, readOnly: true}
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
  - name: secrets
    secret:
      secretName: {{ include "bindery.secret" $ }}
      # What is missing in it is named by Bindery itself.
      optional: true
      # Nobody else is in the container.
      defaultMode: 0444
      items:
        {{- range $key, $variable := dict "secretKey" "BINDERY_SECRET_KEY" "authToken" "BINDERY_AUTH_TOKEN"
            "authTokenOld" "BINDERY_AUTH_TOKEN_OLD" "jwtSecret" "BINDERY_JWT_SECRET"
            "jwtSecretOld" "BINDERY_JWT_SECRET_OLD" "apiKeys" "BINDERY_API_KEYS"
            "upstreamSecret" "BINDERY_UPSTREAM_SECRET" }}
        - {key: {{ get $.Values.secrets.keys $key }}, path: {{ $variable }}}
        {{- end }}
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
checksum/settings: {{ toJson (list .Values.settings .Values.api.host .Values.api.port .Values.metrics.port) | sha256sum }}
checksum/secrets: {{ toJson (list .Values.secrets .Values.redis.url .Values.queue.url) | sha256sum }}
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
