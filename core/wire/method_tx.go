package wire

// Methods of class tx.
const (
	MethodTxSelect     MethodID = 90<<16 | 10
	MethodTxSelectOk   MethodID = 90<<16 | 11
	MethodTxCommit     MethodID = 90<<16 | 20
	MethodTxCommitOk   MethodID = 90<<16 | 21
	MethodTxRollback   MethodID = 90<<16 | 30
	MethodTxRollbackOk MethodID = 90<<16 | 31
)

// TxSelect makes the channel transactional. Answered by [TxSelectOk].
type TxSelect struct{}

// ID returns [MethodTxSelect].
func (*TxSelect) ID() MethodID { return MethodTxSelect }

func (*TxSelect) fields(walker) {}

// TxSelectOk says that the channel is transactional.
type TxSelectOk struct{}

// ID returns [MethodTxSelectOk].
func (*TxSelectOk) ID() MethodID { return MethodTxSelectOk }

func (*TxSelectOk) fields(walker) {}

// TxCommit commits the transaction and starts the next. Answered by [TxCommitOk].
type TxCommit struct{}

// ID returns [MethodTxCommit].
func (*TxCommit) ID() MethodID { return MethodTxCommit }

func (*TxCommit) fields(walker) {}

// TxCommitOk says that the transaction is committed.
type TxCommitOk struct{}

// ID returns [MethodTxCommitOk].
func (*TxCommitOk) ID() MethodID { return MethodTxCommitOk }

func (*TxCommitOk) fields(walker) {}

// TxRollback drops the transaction and starts the next. Answered by [TxRollbackOk].
type TxRollback struct{}

// ID returns [MethodTxRollback].
func (*TxRollback) ID() MethodID { return MethodTxRollback }

func (*TxRollback) fields(walker) {}

// TxRollbackOk says that the transaction is dropped.
type TxRollbackOk struct{}

// ID returns [MethodTxRollbackOk].
func (*TxRollbackOk) ID() MethodID { return MethodTxRollbackOk }

func (*TxRollbackOk) fields(walker) {}
