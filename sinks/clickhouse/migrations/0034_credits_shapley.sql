ALTER TABLE serving.credits
    ADD COLUMN IF NOT EXISTS credit_shapley_micros Int64 COMMENT 'Credit under shapley, in millionths of the conversion' AFTER credit_position_micros,
    ADD COLUMN IF NOT EXISTS money_shapley_micros Int64 COMMENT 'Money under shapley, in millionths' AFTER money_position_micros
