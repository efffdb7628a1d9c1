package ledger

// Publisher notes what one sender of messages does. [Publisher.To], [Publisher.Next]
// and [Publisher.Again] belong to one goroutine, [Publisher.Result] to any.
type Publisher struct {
	ledger  *Ledger
	number  uint32
	last    uint64 // sequence number
	route   uint16 // of the messages that follow; 0: not told
	invokes *shard
	results *shard
}

// Publisher returns a new sender of messages.
func (l *Ledger) Publisher() *Publisher {
	p := &Publisher{ledger: l, results: l.newShard()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.publishers++
	p.number = l.publishers
	p.invokes = l.openShard()
	l.invokes = append(l.invokes, p.invokes)
	return p
}

// To tells which exchange and routing key the messages that follow are published with:
// they must go and come with these.
func (p *Publisher) To(exchange, key string) { p.route = route(exchange, key) }

// Message is what to publish, with its identity.
type Message struct {
	ID   ID
	Body []byte
}

// Next returns the next message and notes that the application asks for it to be
// published: call it right before that. The body is new and has size bytes, at
// least [PrefixSize].
func (p *Publisher) Next(key uint32, size int) Message {
	p.last++
	return p.invoke(ID{Run: p.ledger.run, Publisher: p.number, Seq: p.last, Attempt: 1, Key: key}, size)
}

// Again returns the message for another attempt of the application and notes it.
func (p *Publisher) Again(m Message) Message {
	id := m.ID
	id.Attempt++
	return p.invoke(id, len(m.Body))
}

func (p *Publisher) invoke(id ID, size int) Message {
	body := id.AppendBody(make([]byte, 0, max(size, PrefixSize)), size)
	_, crc, _ := decodePrefix(body)
	p.invokes.add(Record{
		Time: p.ledger.now(), Kind: PubInvoke, Pub: id.Publisher, Seq: pack(id.Seq, id.Attempt),
		Tag: uint64(id.Key), CRC: crc, Node: p.route,
	})
	return Message{ID: id, Body: body}
}

// Result notes how the attempt ended, by what the API said.
func (p *Publisher) Result(id ID, o Outcome) {
	p.results.add(Record{
		Time: p.ledger.now(), Kind: Result, Flags: Flags(o), Pub: id.Publisher, Seq: pack(id.Seq, id.Attempt),
	})
}
