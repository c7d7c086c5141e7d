{{/* The URLs of store and queue, as environment variables; and the certificates that they need. */}}

{{/* A server's URL made of its parts: (dict "it" $.Values.redis "name" "redis"). Kubernetes fills in $(…). */}}
{{- define "bindery.stores.url" -}}
{{- $it := .it -}}
{{- $upper := upper .name -}}
{{- $scheme := ternary "rediss" "redis" $it.tls.enabled -}}
{{- if ne $it.mode "single" }}{{ $scheme = printf "%s+%s" $scheme $it.mode }}{{ end -}}
{{- $login := "" -}}
{{- if $it.passwordSecret.name }}{{ $login = printf "%s:$(%s_PASSWORD)@" $it.username $upper }}{{ end -}}
{{- $path := "" -}}
{{- if eq $it.mode "sentinel" }}{{ $path = printf "/%s/%d" $it.master (int $it.database) }}{{ end -}}
{{- if and (eq $it.mode "single") (int $it.database) }}{{ $path = printf "/%d" (int $it.database) }}{{ end -}}
{{- $query := list -}}
{{- if $it.tls.caSecret }}{{ $query = append $query (printf "ssl_ca_certs=/etc/bindery/%s-ca/ca.crt" .name) }}{{ end -}}
{{- if $it.tls.clientSecret -}}
{{- $query = append $query (printf "ssl_certfile=/etc/bindery/%s-client/tls.crt&ssl_keyfile=/etc/bindery/%s-client/tls.key" .name .name) -}}
{{- end -}}
{{- if $it.sentinelPasswordSecret.name }}{{ $query = append $query (printf "sentinel_password=$(%s_SENTINEL_PASSWORD)" $upper) }}{{ end -}}
{{ $scheme }}://{{ $login }}{{ join "," $it.hosts }}{{ $path }}{{ with $query }}?{{ join "&" . }}{{ end }}
{{- end -}}

{{- define "bindery.stores.env" -}}
{{- if .Values.valkey.enabled }}
{{ include "bindery.stores.valkeyPassword" . }}
- name: BINDERY_REDIS_URL
  value: redis://:$(VALKEY_PASSWORD)@{{ include "bindery.fullname" . }}-valkey:6379/0
{{- end }}
{{- $fullname := include "bindery.fullname" . }}
{{- range $name := list "redis" "queue" }}
{{- $it := get $.Values $name }}
{{- $variable := printf "BINDERY_%s_URL" (upper $name) }}
{{- if $it.hosts }}
{{- with $it.passwordSecret }}
{{- if .name }}
- name: {{ upper $name }}_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
{{- end }}
{{- end }}
{{- with $it.sentinelPasswordSecret }}
{{- if .name }}
- name: {{ upper $name }}_SENTINEL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
{{- end }}
{{- end }}
- name: {{ $variable }}
  value: {{ include "bindery.stores.url" (dict "it" $it "name" $name) | quote }}
{{- else if $it.url }}
- name: {{ $variable }}
  valueFrom: {secretKeyRef: {name: {{ $fullname }}-urls, key: {{ $variable }}}}
{{- else if $it.existingSecret }}
- name: {{ $variable }}
  valueFrom: {secretKeyRef: {name: {{ $it.existingSecret }}, key: {{ $it.existingSecretKey }}}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "bindery.stores.valkeyPassword" -}}
- name: VALKEY_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "bindery.secret" . }}, key: {{ .Values.secrets.keys.valkeyPassword }}}}
{{- end -}}

{{- define "bindery.stores.volumes" -}}
{{- range $name := list "redis" "queue" }}
{{- $tls := (get $.Values $name).tls }}
{{- with $tls.caSecret }}
- name: {{ $name }}-ca
  secret: {secretName: {{ . }}, defaultMode: 0444, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- with $tls.clientSecret }}
- name: {{ $name }}-client
  secret: {secretName: {{ . }}, defaultMode: 0444, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
{{- end }}
{{- end }}
{{- end -}}

{{- define "bindery.stores.mounts" -}}
{{- range $name := list "redis" "queue" }}
{{- $tls := (get $.Values $name).tls }}
{{- if $tls.caSecret }}
- {name: {{ $name }}-ca, mountPath: /etc/bindery/{{ $name }}-ca, readOnly: true}
{{- end }}
{{- if $tls.clientSecret }}
- {name: {{ $name }}-client, mountPath: /etc/bindery/{{ $name }}-client, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}
