"""A link's record is not asked for once more: no foreign key from links to records.

Revision 0014_links_alone, after 0013_blocks. docs/decisions/0064 says why.
"""

from alembic import op

revision = "0014_links_alone"
down_revision = "0013_blocks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("links") as batch:
        batch.drop_constraint(op.f("fk_links_record_id"), type_="foreignkey")
