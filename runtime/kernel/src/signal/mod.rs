//! Signals: queues, actions, delivery.
