{{/* What the schema cannot say, because it spans several keys. Every message begins with the key to mend. */}}
{{- define "bindery.checks" -}}
{{- include "bindery.checks.secrets" . -}}
{{- include "bindery.checks.stores" . -}}
{{- include "bindery.checks.settings" . -}}
{{- include "bindery.checks.network" . -}}
{{- include "bindery.checks.scaling" . -}}
{{- end -}}

{{- define "bindery.checks.secrets" -}}
{{- $secrets := .Values.secrets -}}
{{- $given := list -}}
{{- range $key, $value := omit $secrets "existingSecret" "keys" -}}
{{- if $value }}{{ $given = append $given (printf "secrets.%s" $key) }}{{ end -}}
{{- end -}}
{{- if and $secrets.existingSecret $given -}}
{{- fail (printf "%s: must be empty beside secrets.existingSecret" (join ", " $given)) -}}
{{- end -}}
{{- /* In here, not in the schema: its messages quote values. */ -}}
{{- if not (regexMatch "^[A-Za-z0-9]*$" $secrets.valkeyPassword) -}}
{{- fail "secrets.valkeyPassword: must have letters and digits alone, it becomes part of a URL" -}}
{{- end -}}
{{- if not (regexMatch "^(SK[0-9a-fA-F]{32}:[^,]+(,\\s*SK[0-9a-fA-F]{32}:[^,]+)*)?$" $secrets.apiKeys) -}}
{{- fail "secrets.apiKeys: must be comma-separated pairs of SK and 32 hex digits, a colon, and the secret" -}}
{{- end -}}
{{- range $name := list "redis" "queue" -}}
{{- $url := (get $.Values $name).url -}}
{{- $schemes := ternary "(redis|rediss)(\\+sentinel|\\+cluster)?" "(redis|rediss)(\\+sentinel)?" (eq $name "redis") -}}
{{- if and $url (not (regexMatch (printf "^%s://[^\\s]+$" $schemes) $url)) -}}
{{- fail (printf "%s.url: must begin with redis://, rediss://, redis+sentinel://%s or the like with TLS" $name (ternary ", redis+cluster://" "" (eq $name "redis"))) -}}
{{- end -}}
{{- end -}}
{{- if not $secrets.existingSecret -}}
{{- range $key := list "secretKey" "authToken" "jwtSecret" -}}
{{- if not (get $secrets $key) }}{{ fail (printf "secrets.%s: must be set, or secrets.existingSecret" $key) }}{{ end -}}
{{- end -}}
{{- if and .Values.valkey.enabled (not $secrets.valkeyPassword) -}}
{{- fail "secrets.valkeyPassword: must be set with valkey.enabled, or secrets.existingSecret" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "bindery.checks.stores" -}}
{{- $redis := .Values.redis -}}
{{- $ways := list -}}
{{- if .Values.valkey.enabled }}{{ $ways = append $ways "valkey.enabled" }}{{ end -}}
{{- if $redis.hosts }}{{ $ways = append $ways "redis.hosts" }}{{ end -}}
{{- if $redis.url }}{{ $ways = append $ways "redis.url" }}{{ end -}}
{{- if $redis.existingSecret }}{{ $ways = append $ways "redis.existingSecret" }}{{ end -}}
{{- if not $ways }}{{ fail "redis.hosts: must be set, or redis.url, redis.existingSecret or valkey.enabled: where is the store?" }}{{ end -}}
{{- if gt (len $ways) 1 }}{{ fail (printf "%s: only one of them may be set" (join ", " $ways)) }}{{ end -}}
{{- range $name, $it := dict "redis" $redis "queue" .Values.queue -}}
{{- if $it.hosts -}}
{{- if and (eq $it.mode "single") (gt (len $it.hosts) 1) }}{{ fail (printf "%s.hosts: must be one host in mode single" $name) }}{{ end -}}
{{- if and (eq $it.mode "sentinel") (not $it.master) }}{{ fail (printf "%s.master: must be set in mode sentinel" $name) }}{{ end -}}
{{- if and $it.username (not $it.passwordSecret.name) }}{{ fail (printf "%s.passwordSecret.name: must be set with %s.username" $name $name) }}{{ end -}}
{{- if and (not $it.tls.enabled) (or $it.tls.caSecret $it.tls.clientSecret) }}{{ fail (printf "%s.tls.enabled: must be true with its caSecret or clientSecret" $name) }}{{ end -}}
{{- if and (ne $it.mode "sentinel") $it.sentinelPasswordSecret.name }}{{ fail (printf "%s.sentinelPasswordSecret.name: has a meaning in mode sentinel only" $name) }}{{ end -}}
{{- if and (eq $it.mode "cluster") $it.database }}{{ fail (printf "%s.database: must be 0 in mode cluster" $name) }}{{ end -}}
{{- else -}}
{{- range $key := list "username" "master" -}}
{{- if get $it $key }}{{ fail (printf "%s.%s: has a meaning with %s.hosts only" $name $key $name) }}{{ end -}}
{{- end -}}
{{- range $key := list "passwordSecret" "sentinelPasswordSecret" -}}
{{- if get (get $it $key) "name" }}{{ fail (printf "%s.%s.name: has a meaning with %s.hosts only" $name $key $name) }}{{ end -}}
{{- end -}}
{{- if $it.tls.enabled }}{{ fail (printf "%s.tls.enabled: has a meaning with %s.hosts only; a URL says rediss://" $name $name) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $queue := .Values.queue -}}
{{- if gt (len (compact (list (ternary "hosts" "" (not (empty $queue.hosts))) $queue.url $queue.existingSecret))) 1 -}}
{{- fail "queue.hosts, queue.url, queue.existingSecret: only one of them may be set" -}}
{{- end -}}
{{- $cluster := or (and $redis.hosts (eq $redis.mode "cluster")) (contains "+cluster://" $redis.url) -}}
{{- if and $cluster (not (or $queue.hosts $queue.url $queue.existingSecret)) -}}
{{- fail "queue.hosts: must be set, or queue.url or queue.existingSecret, when the store is a Cluster" -}}
{{- end -}}
{{- end -}}

{{- define "bindery.checks.settings" -}}
{{- include "bindery.checks.upstream" . -}}
{{- $settings := .Values.settings -}}
{{- if not $settings.accountSid }}{{ fail "settings.accountSid: must be set: AC and 32 hex digits" }}{{ end -}}
{{- if and .Values.valkey.enabled $settings.redisReplicas }}{{ fail "settings.redisReplicas: must be 0 with valkey.enabled, which has none" }}{{ end -}}
{{- if $settings.services -}}
{{- range $key := list "serviceSid" "chatServiceSid" -}}
{{- if get $settings $key }}{{ fail (printf "settings.%s: must be empty beside settings.services" $key) }}{{ end -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $n, $service := $settings.services -}}
{{- range $key := list "sid" "name" -}}
{{- $value := get $service $key -}}
{{- if hasKey $seen $value }}{{ fail (printf "settings.services.%d.%s: %s is there twice" $n $key $value) }}{{ end -}}
{{- $_ := set $seen $value true -}}
{{- end -}}
{{- end -}}
{{- else if not $settings.serviceSid -}}
{{- fail "settings.serviceSid: must be set: IS and 32 hex digits, or settings.services" -}}
{{- end -}}
{{- end -}}

{{- define "bindery.checks.upstream" -}}
{{- $upstream := .Values.settings.upstream -}}
{{- $used := or $upstream.notifyUrl $upstream.chatUrl -}}
{{- range .Values.settings.services }}{{ $used = or $used .notify_upstream .chat_upstream }}{{ end -}}
{{- if and .Values.settings.services (or $upstream.notifyUrl $upstream.chatUrl) -}}
{{- fail "settings.upstream: notifyUrl and chatUrl must be empty beside settings.services, which have tables of their own" -}}
{{- end -}}
{{- if $used -}}
{{- if not $upstream.user }}{{ fail "settings.upstream.user: must be set with an upstream" }}{{ end -}}
{{- if not (or .Values.secrets.existingSecret .Values.secrets.upstreamSecret) -}}
{{- fail "secrets.upstreamSecret: must be set with an upstream, or secrets.existingSecret" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.upstream.to) -}}
{{- fail "networkPolicy.upstream.to: must be set with an upstream, such as [{ipBlock: {cidr: 0.0.0.0/0}}]" -}}
{{- end -}}
{{- end -}}
{{- if lt (float64 $upstream.timeout) (float64 $upstream.connectTimeout) -}}
{{- fail "settings.upstream.timeout: must not be shorter than connectTimeout, which it includes" -}}
{{- end -}}
{{- if lt (float64 $upstream.longestRequest) (float64 $upstream.timeout) -}}
{{- fail "settings.upstream.longestRequest: must not be shorter than timeout" -}}
{{- end -}}
{{- end -}}

{{- define "bindery.checks.network" -}}
{{- if and .Values.ingress.enabled .Values.httpRoute.enabled }}{{ fail "httpRoute.enabled: must be false beside ingress.enabled" }}{{ end -}}
{{- if eq (int .Values.api.port) (int .Values.metrics.port) }}{{ fail "metrics.port: must not be api.port" }}{{ end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}{{ fail "ingress.hosts: must name a host" }}{{ end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}{{ fail "httpRoute.parentRefs: must name a Gateway" }}{{ end -}}
{{- end -}}

{{- define "bindery.checks.scaling" -}}
{{- $worker := .Values.worker.autoscaling -}}
{{- if and .Values.valkey.enabled .Values.networkPolicy.enabled (eq $worker.kind "keda") (eq $worker.keda.trigger "redis") -}}
{{- fail "worker.autoscaling.kind: must not be keda with its trigger redis beside valkey.enabled and networkPolicy.enabled, which lets no operator reach the store" -}}
{{- end -}}
{{- range $name := list "api" "worker" -}}
{{- $scaling := (get $.Values $name).autoscaling -}}
{{- if lt (int $scaling.maxReplicas) (int $scaling.minReplicas) -}}
{{- fail (printf "%s.autoscaling.maxReplicas: must not be below minReplicas" $name) -}}
{{- end -}}
{{- end -}}
{{- $worker := .Values.worker.autoscaling -}}
{{- if eq $worker.kind "keda" -}}
{{- if eq $worker.keda.trigger "prometheus" -}}
{{- range $key := list "serverAddress" "query" -}}
{{- if not (get $worker.keda $key) }}{{ fail (printf "worker.autoscaling.keda.%s: must be set with the trigger prometheus" $key) }}{{ end -}}
{{- end -}}
{{- else if not (or .Values.valkey.enabled .Values.redis.hosts) -}}
{{- fail "worker.autoscaling.keda.trigger: redis needs redis.hosts or valkey.enabled, a URL in a Secret is not read; or take prometheus" -}}
{{- end -}}
{{- end -}}
{{- end -}}
