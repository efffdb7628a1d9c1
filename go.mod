module github.com/warren-mq/warren

go 1.25.0

require (
	github.com/cenkalti/backoff/v4 v4.3.0
	go.uber.org/zap v1.28.0
	go.yaml.in/yaml/v3 v3.0.4
	golang.org/x/text v0.38.0
)

require go.uber.org/multierr v1.10.0 // indirect
