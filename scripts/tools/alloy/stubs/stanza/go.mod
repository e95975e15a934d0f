module github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza

go 1.26.0

require go.opentelemetry.io/collector/confmap v1.59.0
