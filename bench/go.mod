module github.com/warren-mq/warren/bench

go 1.25.0

replace github.com/warren-mq/warren => ../

require (
	github.com/rabbitmq/amqp091-go v1.16.0
	github.com/warren-mq/warren v0.0.0-00010101000000-000000000000
)

require (
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	go.uber.org/multierr v1.10.0 // indirect
	go.uber.org/zap v1.28.0 // indirect
)
