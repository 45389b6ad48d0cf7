-- Handling: what gets worse or comes back after somebody has it.

-- The class of the alarm when somebody accepted it or was sent. What is more urgent now has to be accepted again.
ALTER TABLE alarm ADD COLUMN engaged_as TEXT;
UPDATE alarm SET engaged_as = priority WHERE handling = 'engaged';

-- A claim of class T or P3 whose condition is over lasts eight hours more.
UPDATE alarm SET claim_until = updated_at + 28800000000
  WHERE handling = 'claimed' AND priority IN ('P3', 'T') AND condition = 'cleared' AND claim_until IS NULL;

-- Falls that were told late and that nobody was paged for.
UPDATE alarm SET page_due_at = updated_at
  WHERE handling = 'open' AND priority IN ('P1', 'P2') AND late = TRUE AND page_due_at IS NULL AND kind LIKE '%"kind":"fall"%';
