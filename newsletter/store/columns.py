"""What all tables share: their register, how their constraints are named, and the type of an id."""

from sqlalchemy import BigInteger, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_unique",
        "fk": "%(table_name)s_%(column_0_N_name)s_exists",
        "pk": "%(table_name)s_pk",
    }
)

#: An id that outlives a billion rows; SQLite makes its own only of INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")
