package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/warren-mq/warren/bench/internal/job"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
)

const (
	imageTimeout = 5 * time.Minute
	startTimeout = time.Minute
)

// rabbit is a RabbitMQ in a container with the queues of the scenarios.
type rabbit struct {
	image  string
	broker *docker.Broker
	conn   *core.Conn
	ch     *core.Channel
}

// startRabbit starts a broker. Where no container engine answers, the error says so.
func startRabbit(ctx context.Context, progress func(string)) (_ *rabbit, err error) {
	imageCtx, cancel := context.WithTimeout(ctx, imageTimeout)
	defer cancel()
	image, err := docker.Image(imageCtx, docker.MainVersion, progress)
	if err != nil {
		return nil, err
	}
	r := &rabbit{image: image}
	return r, r.start(ctx)
}

func (r *rabbit) start(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if r.broker, err = docker.Run(ctx, docker.Options{Image: r.image}); err != nil {
		return err
	}
	if err := r.open(ctx); err != nil {
		r.stop()
		return err
	}
	return nil
}

// replace starts a new broker instead of the present one.
func (r *rabbit) replace(ctx context.Context) error {
	r.stop()
	return r.start(ctx)
}

func (r *rabbit) open(ctx context.Context) (err error) {
	if err := r.broker.WaitReady(ctx); err != nil {
		return err
	}
	if r.conn, err = core.Dial(ctx, core.Config{Addr: r.broker.Addr(), RPCTimeout: time.Minute}); err != nil {
		return err
	}
	r.ch, err = r.conn.Channel(ctx)
	return err
}

func (r *rabbit) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if r.conn != nil {
		_ = r.conn.Close(ctx) // the broker goes too
	}
	if r.broker == nil {
		return
	}
	if err := r.broker.Remove(ctx); err != nil {
		fmt.Println("remove the broker's container:", err)
	}
	r.broker, r.conn = nil, nil
}

// prepare makes the job's queue again, with the messages that it consumes.
func (r *rabbit) prepare(ctx context.Context, j job.Job) error {
	if _, err := r.ch.QueueDelete(ctx, core.QueueDelete{Queue: j.Queue}); err != nil {
		return err
	}
	_, err := r.ch.QueueDeclare(ctx, core.QueueDeclare{Queue: j.Queue, Durable: true, Arguments: core.Table{"x-queue-type": j.Queue}})
	if err != nil || j.Kind != job.Consume {
		return err
	}
	return r.fill(ctx, j)
}

// fill publishes the job's messages and waits until the broker has them.
func (r *rabbit) fill(ctx context.Context, j job.Job) error {
	ch, err := r.conn.Channel(ctx)
	if err != nil {
		return err
	}
	if err := ch.Confirm(ctx, core.ConfirmSelect{}); err != nil {
		return err
	}
	msg := &core.Publishing{RoutingKey: j.Queue, Body: make([]byte, j.Size), Properties: core.Properties{DeliveryMode: 2}}
	var confirmed sync.WaitGroup
	for range j.Messages {
		confirmed.Add(1)
		if err := ch.PublishTo(ctx, msg, settle(confirmed.Done)); err != nil {
			return err
		}
	}
	confirmed.Wait()
	return ch.Close(ctx)
}

// settle is a settler that counts.
type settle func()

func (f settle) Settle(core.Verdict) { f() }
